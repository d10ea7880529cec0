/* The last digits of one estimate: as `polish` in solver.py.
 *
 * Included once for each instruction set (see module.c).
 */

/* Turns `columns` columns of `rows` numbers, `apart` from each other, until they are a triangle:
 * Householder's reflections, one for each column. Their first rows are a triangle already, the zeros
 * of which no reflection touches; what stands below it is left as it falls. */
static void FN(triangle)(double *tall, size_t rows, size_t apart, int columns)
{
    for (int k = 0; k < columns && (size_t)k + 1 < rows; k++) {
        double *restrict v = tall + (size_t)k * apart, norm = 0.0;
#pragma omp simd reduction(+ : norm)
        for (size_t r = (size_t)k; r < rows; r++)
            norm += v[r] * v[r];
        norm = sqrt(norm);
        if (norm == 0.0)
            continue;
        double end = v[k] > 0.0 ? -norm : norm, per = 1.0 / (norm * (norm + fabs(v[k])));
        v[k] -= end;
        for (int j = k + 1; j < columns; j++) {
            double *restrict other = tall + (size_t)j * apart, share = 0.0;
#pragma omp simd reduction(+ : share)
            for (size_t r = (size_t)k; r < rows; r++)
                share += v[r] * other[r];
            share *= per;
            for (size_t r = (size_t)k; r < rows; r++)
                other[r] -= share * v[r];
        }
        v[k] = end;
    }
}

/* Root of the curvature times slopes of every row, and times what is left of it, as a triangle of
 * p + 1 columns; zero where a row has no positive curvature. */
static int FN(tall_rows)(
    const Search *search, const Weights *weight, const double *u, double state, double *tall)
{
    const Task *task = search->task;
    const Work *work = search->work;
    const double *logs[MOST_INPUTS], *target;
    double theta[MOST_PARAMETERS], value = 0.0, total = 0.0;
    int p = search->p, same = task->goal.kind == SQUARES;
    size_t apart = TALL(p), above = (size_t)p + 1;
    FN(theta_of)(search, u, theta);
    for (int j = 0; j <= p; j++)
        memset(tall + (size_t)j * apart, 0, above * sizeof *tall);
    for (size_t k = 0; k * BLOCK < task->n; k++) {
        size_t begin = k * BLOCK, rows = task->n - begin < BLOCK ? task->n - begin : BLOCK;
        size_t m = FN(block)(task, work, k, 1, logs, &target);
        FN(derive)(task, work, theta, logs, target, m, 1, work->residual);
        FN(penalties)(
            &task->goal, state, work->residual, FN(weights_from)(weight, begin), rows, 0,
            work->psi, work->sharp, work->safe, &value, &total);
        const double *curved = same ? work->safe : work->sharp;
        double *right = tall + (size_t)p * apart + above;
        for (size_t r = 0; r < rows; r++) {
            if (!(curved[r] > 0.0))
                return 0;
            double root = sqrt(curved[r]);
            right[r] = work->psi[r] / root, work->weight[r] = root;
        }
        for (int j = 0; j < p; j++) {
            double *restrict into = tall + (size_t)j * apart + above;
            const double *restrict slope = work->planes + (size_t)search->number[j] * BLOCK;
            for (size_t r = 0; r < rows; r++)
                into[r] = slope[r] * work->weight[r];
        }
        FN(triangle)(tall, above + rows, apart, p + 1);
    }
    return 1;
}

/* Least squares of `count` columns, each of m numbers, by one-sided rotations (Hestenes 1958): what
 * the columns cannot tell apart stays where it is. Spoils the columns. */
static void FN(least_squares)(
    double a[][MOST_PARAMETERS + 1], const double *right, int count, int m, double *x)
{
    double turned[MOST_PARAMETERS][MOST_PARAMETERS], norm[MOST_PARAMETERS], most = 0.0;
    double size[MOST_PARAMETERS];
    for (int j = 0; j < count; j++) {
        double sum = 0.0;
        for (int r = 0; r < m; r++)
            sum += a[j][r] * a[j][r];
        norm[j] = sum > 0.0 ? sqrt(sum) : 1.0;
        for (int r = 0; r < m; r++)
            a[j][r] /= norm[j];
        for (int i = 0; i < count; i++)
            turned[j][i] = i == j;
    }
    for (int sweep = 0, again = 1; again && sweep < 60; sweep++) {
        again = 0;
        for (int i = 0; i < count; i++)
            for (int j = i + 1; j < count; j++) {
                double aa = 0.0, bb = 0.0, ab = 0.0;
                for (int r = 0; r < m; r++)
                    aa += a[i][r] * a[i][r], bb += a[j][r] * a[j][r], ab += a[i][r] * a[j][r];
                if (!(fabs(ab) > 0x1p-52 * sqrt(aa * bb)))
                    continue;
                again = 1;
                double half = (bb - aa) / (2.0 * ab);
                double t = (half < 0.0 ? -1.0 : 1.0) / (fabs(half) + sqrt(1.0 + half * half));
                double c = 1.0 / sqrt(1.0 + t * t), s = c * t;
                for (int r = 0; r < m; r++) {
                    double one = a[i][r], two = a[j][r];
                    a[i][r] = c * one - s * two, a[j][r] = s * one + c * two;
                }
                for (int r = 0; r < count; r++) {
                    double one = turned[i][r], two = turned[j][r];
                    turned[i][r] = c * one - s * two, turned[j][r] = s * one + c * two;
                }
            }
    }
    for (int j = 0; j < count; j++) {
        double sum = 0.0;
        for (int r = 0; r < m; r++)
            sum += a[j][r] * a[j][r];
        size[j] = sqrt(sum);
        most = size[j] > most ? size[j] : most;
        x[j] = 0.0;
    }
    for (int j = 0; j < count; j++) {
        double along = 0.0;
        if (!(size[j] > 0x1p-52 * m * most))
            continue;
        for (int r = 0; r < m; r++)
            along += a[j][r] * right[r];
        along /= size[j] * size[j];
        for (int i = 0; i < count; i++)
            x[i] += along * turned[j][i];
    }
    for (int j = 0; j < count; j++)
        x[j] /= norm[j];
}

/* Minus the inverse of a form times a gradient, by elimination with pivots; whether there is one.
 * Spoils both. */
static int FN(newton_of)(double a[][MOST_PARAMETERS], double *gradient, int count, double *x)
{
    double norm[MOST_PARAMETERS];
    for (int i = 0; i < count; i++) {
        norm[i] = sqrt(fabs(a[i][i]));
        norm[i] = norm[i] > 0.0 ? norm[i] : 1.0;
    }
    for (int i = 0; i < count; i++) {
        gradient[i] /= -norm[i];
        for (int k = 0; k < count; k++)
            a[i][k] /= norm[i] * norm[k];
    }
    for (int j = 0; j < count; j++) {
        int best = j;
        for (int i = j + 1; i < count; i++)
            if (fabs(a[i][j]) > fabs(a[best][j]))
                best = i;
        if (!(fabs(a[best][j]) > 0.0))
            return 0;
        for (int k = 0; k < count && best != j; k++) {
            double kept = a[j][k];
            a[j][k] = a[best][k], a[best][k] = kept;
        }
        double kept = gradient[j];
        gradient[j] = gradient[best], gradient[best] = kept;
        for (int i = j + 1; i < count; i++) {
            double share = a[i][j] / a[j][j];
            for (int k = j + 1; k < count; k++)
                a[i][k] -= share * a[j][k];
            gradient[i] -= share * gradient[j];
        }
    }
    for (int j = count - 1; j >= 0; j--) {
        for (int k = j + 1; k < count; k++)
            gradient[j] -= a[j][k] * gradient[k];
        gradient[j] /= a[j][j];
        x[j] = gradient[j] / norm[j];
    }
    return 1;
}

/* Numbers of the parameters that no bound holds back. */
static int FN(unbound)(const Search *search, const double *u, const double *gradient, int *which)
{
    int count = 0;
    for (int j = 0; j < search->p; j++)
        if (!((u[j] <= search->low[j] && gradient[j] > 0.0) ||
              (u[j] >= search->high[j] && gradient[j] < 0.0)))
            which[count++] = j;
    return count;
}

/* Newton's step with the form `system`, (p, p), of the parameters that no bound holds. */
static void FN(step_of_form)(
    const Search *search, const double *u, const double *gradient, const double *system,
    double *step)
{
    double form[MOST_PARAMETERS][MOST_PARAMETERS], pull[MOST_PARAMETERS], part[MOST_PARAMETERS];
    int which[MOST_PARAMETERS], count = FN(unbound)(search, u, gradient, which), p = search->p;
    for (int i = 0; i < count; i++) {
        pull[i] = gradient[which[i]];
        for (int k = 0; k < count; k++)
            form[i][k] = (system[which[i] * p + which[k]] + system[which[k] * p + which[i]]) / 2;
    }
    int sound = FN(newton_of)(form, pull, count, part);
    memset(step, 0, (size_t)p * sizeof *step);
    for (int i = 0; i < count; i++)
        step[which[i]] = sound ? part[i] : 0.0;
}

/* As `_newton`. */
static void FN(sharp_step)(
    const Search *search, const Weights *weight, const double *u, const Standing *at, double *tall,
    double *step)
{
    double columns[MOST_PARAMETERS][MOST_PARAMETERS + 1], part[MOST_PARAMETERS];
    int which[MOST_PARAMETERS], p = search->p;
    if (!FN(tall_rows)(search, weight, u, at->state, tall)) {
        FN(step_of_form)(search, u, at->gradient, at->sharp, step);
        return;
    }
    int count = FN(unbound)(search, u, at->gradient, which);
    for (int i = 0; i < count; i++)
        memcpy(columns[i], tall + (size_t)which[i] * TALL(p), ((size_t)p + 1) * sizeof *tall);
    FN(least_squares)(columns, tall + (size_t)p * TALL(p), count, p + 1, part);
    memset(step, 0, (size_t)p * sizeof *step);
    for (int i = 0; i < count; i++)
        step[which[i]] = part[i];
}

/* As `_whole_newton`. */
static void FN(whole_step)(
    const Search *search, const Weights *weight, const double *u, const Standing *at, double *step)
{
    int p = search->p;
    double bent[MOST_PARAMETERS * MOST_PARAMETERS], moved[MOST_PARAMETERS];
    Room rooms[2];
    Standing up = {0, 0, 0, rooms[0].gradient, rooms[0].sharp, rooms[0].safe};
    Standing down = {0, 0, 0, rooms[1].gradient, rooms[1].sharp, rooms[1].safe};
    for (int j = 0; j < p; j++) {
        double safe = at->safe[j * p + j], width = fabs(u[j]) > 1.0 ? fabs(u[j]) : 1.0;
        double apart = search->rules->apart *
                       sqrt(at->size / ((double)search->task->n * (safe > 1e-300 ? safe : 1e-300)));
        apart = FN(clipped)(apart, 1e-9 * width, 1e-5 * width);
        memcpy(moved, u, (size_t)p * sizeof *u);
        moved[j] = u[j] + apart;
        FN(assess_at)(search, moved, weight, at->state, &up);
        moved[j] = u[j] - apart;
        FN(assess_at)(search, moved, weight, at->state, &down);
        for (int k = 0; k < p; k++)
            bent[j * p + k] = (up.gradient[k] - down.gradient[k]) / (2 * apart);
    }
    FN(step_of_form)(search, u, at->gradient, bent, step);
}

/* Takes a step inside the box; whether it leads anywhere that is not higher, and how long it is. */
static int FN(moved)(
    const Search *search, const Weights *weight, const double *u, const Standing *here,
    const double *step, double *trial, Standing *there, double *length)
{
    int sound = 1;
    *length = 0.0;
    for (int j = 0; j < search->p; j++) {
        double share = fabs(step[j]) / (fabs(u[j]) > 0.0 ? fabs(u[j]) : 1.0);
        sound &= isfinite(step[j]) != 0;
        *length = share > *length ? share : *length;
        trial[j] = FN(clipped)(u[j] + step[j], search->low[j], search->high[j]);
    }
    if (!sound)
        return 0;
    FN(assess_at)(search, trial, weight, FN(begun)(search, trial, weight), there);
    return there->value <= here->value + 1e-12 * here->size;
}

/* Undamped Newton steps from u, shape (p,), until rounding ends them. */
static void FN(polish_one)(const Search *search, double *u, const double *weights, double *tall)
{
    Weights own = FN(weights_of)(search->work, weights, search->task->n);
    const Weights *weight = &own;
    Room rooms[2];
    Standing here = {0, 0, 0, rooms[0].gradient, rooms[0].sharp, rooms[0].safe};
    Standing there = {0, 0, 0, rooms[1].gradient, rooms[1].sharp, rooms[1].safe};
    double step[MOST_PARAMETERS], trial[MOST_PARAMETERS], last = INFINITY, length;
    FN(assess_at)(search, u, weight, FN(begun)(search, u, weight), &here);
    for (long turn = 0; turn < search->limit && !*search->stopped; turn++) {
        FN(sharp_step)(search, weight, u, &here, tall, step);
        int lower = FN(moved)(search, weight, u, &here, step, trial, &there, &length);
        if (!lower || !(length < 0.95 * last)) {
            /* Where the law bends, the first-order curvature may be a small part of the whole. */
            FN(whole_step)(search, weight, u, &here, step);
            lower = FN(moved)(search, weight, u, &here, step, trial, &there, &length);
        }
        if (!lower || !(length < 0.95 * last))
            break;
        Standing left = here;
        here = there, there = left, last = length;
        memcpy(u, trial, (size_t)search->p * sizeof *u);
        if (length < 1e-16)
            break;
    }
}
