/* Laws, objectives and sums over rows, some rows at a time: everything between stays in the cache.
 *
 * Included once for each instruction set (see module.c).
 */

/* Loss, shape (m,), and, if they are wanted, the slopes of the target, a plane of BLOCK for each
 * parameter of the law, of a floor plus powers: as Powers.slopes in powers.py. */
static void FN(powers)(
    const Law *law, const double *th, const double *const *logs, size_t m, int log_target,
    int slopes, double *restrict value, double *planes)
{
    double floor = 0.0;
    for (int i = 0; i < law->floors; i++)
        floor += th[law->floor[i]];
    for (size_t r = 0; r < m; r++)
        value[r] = floor;
    for (int t = 0; t < law->terms; t++) {
        const Term *term = law->term + t;
        double *restrict out = planes + (size_t)term->amplitude * BLOCK;
        double height = th[term->amplitude], by = th[term->exponent[0]];
        const double *restrict x = logs[term->input[0]];
        if (term->powers == 1) {
            for (size_t r = 0; r < m; r++) {
                out[r] = height * FN(exp)(by * x[r]);
                value[r] += out[r];
            }
            continue;
        }
        for (size_t r = 0; r < m; r++)
            out[r] = by * x[r];
        for (int i = 1; i < term->powers; i++) {
            x = logs[term->input[i]], by = th[term->exponent[i]];
            for (size_t r = 0; r < m; r++)
                out[r] += by * x[r];
        }
        for (size_t r = 0; r < m; r++) {
            out[r] = height * FN(exp)(out[r]);
            value[r] += out[r];
        }
    }
    if (!slopes)
        return;
    double *restrict part = planes + (size_t)law->parameters * BLOCK;
    for (size_t r = 0; r < m; r++)
        part[r] = log_target ? 1.0 / value[r] : 1.0;
    for (int i = 0; i < law->floors; i++)
        memcpy(planes + (size_t)law->floor[i] * BLOCK, part, m * sizeof *part);
    int begun[MOST_PARAMETERS] = {0};
    for (int t = 0; t < law->terms; t++) {
        const Term *term = law->term + t;
        double *restrict height = planes + (size_t)term->amplitude * BLOCK;
        for (size_t r = 0; r < m; r++)
            height[r] *= part[r];
        for (int i = 0; i < term->powers; i++) {
            int k = term->exponent[i];
            double *restrict out = planes + (size_t)k * BLOCK;
            const double *restrict x = logs[term->input[i]];
            if (begun[k])
                for (size_t r = 0; r < m; r++)
                    out[r] += x[r] * height[r];
            else
                for (size_t r = 0; r < m; r++)
                    out[r] = x[r] * height[r];
            begun[k] = 1;
        }
    }
}

/* The same of a power law whose slope changes at breaks: as Broken.slopes in broken.py. */
static void FN(broken)(
    const Law *law, const double *th, const double *const *logs, size_t m, int log_target,
    double *restrict value, double *planes)
{
    const double *restrict x = logs[0];
    double *restrict first = planes + (size_t)law->slope * BLOCK;
    double *restrict height = planes + (size_t)law->amplitude * BLOCK;
    double *restrict part = planes + (size_t)law->floor[0] * BLOCK;
    double begin = log(th[law->broken[0].place]), top = log(th[law->amplitude]);
    double fall = th[law->slope], floor = th[law->floor[0]];
    for (size_t r = 0; r < m; r++) {
        first[r] = x[r] + begin;
        height[r] = top + fall * first[r];
    }
    for (int i = 0; i < law->breaks; i++) {
        const Break *b = law->broken + i;
        double *restrict bend = planes + (size_t)b->change * BLOCK;
        double *restrict share = planes + (size_t)b->place * BLOCK;
        double *restrict done = planes + (size_t)b->width * BLOCK;
        double at = log(th[b->place]), per = 1.0 / th[b->width], c = th[b->change];
        double reach = c * th[b->width];
        for (size_t r = 0; r < m; r++) {
            double z = (-x[r] - at) * per;
            double small = FN(exp)(-fabs(z)), near = 1.0 / (1.0 + small);
            double over = z < 0.0 ? small * near : near;
            double up = z < 0.0 ? 0.0 : z;
            bend[r] = FN(log1p)(small) + (up - 0.69314718055994530942);
            height[r] -= reach * bend[r];
            done[r] = z * over;
            share[r] = over;
        }
    }
    for (size_t r = 0; r < m; r++) {
        double h = FN(exp)(height[r]);
        value[r] = floor + h;
        part[r] = log_target ? 1.0 / value[r] : 1.0;
        height[r] = h * part[r];
        first[r] *= height[r];
    }
    for (int i = 0; i < law->breaks; i++) {
        const Break *b = law->broken + i;
        double *restrict bend = planes + (size_t)b->change * BLOCK;
        double *restrict share = planes + (size_t)b->place * BLOCK;
        double *restrict done = planes + (size_t)b->width * BLOCK;
        double c = th[b->change], f = th[b->width], reach = c * f;
        /* The amplitude is the height at the first break, which moves along the curve. */
        double along = i == 0 ? fall : 0.0;
        for (size_t r = 0; r < m; r++) {
            done[r] = height[r] * (reach * (done[r] - bend[r]));
            bend[r] *= -f * height[r];
            share[r] = height[r] * (c * share[r] + along);
        }
    }
}

/* The weights of rows: where all of very many are alike, a few of them stand for all, which spares
 * the memory a stream. */
static Weights FN(weights_of)(const Work *work, const double *weight, size_t n)
{
    double apart = 0.0;
    if (n <= BLOCK)
        return (Weights){weight, 0};
    for (size_t begin = 0; begin < n && apart == 0.0; begin += SUMMED) {
        size_t end = n - begin < SUMMED ? n : begin + SUMMED;
#pragma omp simd reduction(+ : apart)
        for (size_t r = begin; r < end; r++)
            apart += fabs(weight[r] - weight[0]);
    }
    if (apart != 0.0)
        return (Weights){weight, 0};
    for (size_t r = 0; r < SUMMED; r++)
        work->flat[r] = weight[0];
    return (Weights){work->flat, 1};
}

/* Those from a row on: of a block, or of SUMMED rows. */
static const double *FN(weights_from)(const Weights *weight, size_t begin)
{
    return weight->flat ? weight->row : weight->row + begin;
}

static double FN(total)(const Weights *weight, size_t n)
{
    double whole = 0.0;
    for (size_t begin = 0; begin < n; begin += SUMMED) {
        size_t m = n - begin < SUMMED ? n - begin : SUMMED;
        const double *restrict w = FN(weights_from)(weight, begin);
        double part = 0.0;
#pragma omp simd reduction(+ : part)
        for (size_t r = 0; r < m; r++)
            part += w[r];
        whole += part;
    }
    return whole;
}

/* Sum of weights times squares of what is at least `least` and at most `most` in size. */
static double FN(squares)(
    const double *restrict values, const Weights *weight, size_t n, double least, double most)
{
    double whole = 0.0;
    for (size_t begin = 0; begin < n; begin += SUMMED) {
        size_t m = n - begin < SUMMED ? n - begin : SUMMED;
        const double *restrict w = FN(weights_from)(weight, begin);
        const double *restrict value = values + begin;
        double part = 0.0;
#pragma omp simd reduction(+ : part)
        for (size_t r = 0; r < m; r++) {
            double size = fabs(value[r]);
            size = size < least ? least : size;
            size = size < most ? size : most;
            part += w[r] * size * size;
        }
        whole += part;
    }
    return whole;
}

/* Adds the sums of w, w q, w q^2 and w q^3 with q = z^2 / (nu + z^2), z = residual * per. */
static void FN(shares)(
    const double *restrict residual, const double *restrict weight, size_t m, double per,
    double nu, double *sums)
{
    double all = 0.0, a = 0.0, b = 0.0, c = 0.0;
#pragma omp simd reduction(+ : all, a, b, c)
    for (size_t r = 0; r < m; r++) {
        double z = residual[r] * per, q = z * z;
        q = q / (q + nu);
        double one = weight[r] * q, two = one * q;
        all += weight[r], a += one, b += two, c += two * q;
    }
    sums[0] += all, sums[1] += a, sums[2] += b, sums[3] += c;
}

/* Sum of log((nu + z^2) / nu), z = residual * per, over a whole block: an eighth of the logarithms,
 * of products of eight. Not finite where those leave the doubles. */
static double FN(logs_together)(const double *restrict residual, double per, double nu, double back)
{
    double sum = 0.0;
    enum { EACH = BLOCK / 8 };
#pragma omp simd reduction(+ : sum)
    for (size_t r = 0; r < EACH; r++) {
        double product = 1.0;
        for (size_t k = 0; k < 8; k++) {
            double z = residual[r + k * EACH] * per;
            product *= (z * z + nu) * back;
        }
        sum += FN(log)(product);
    }
    return sum;
}

/* Rows of a penalty: psi, sharp and safe as in objectives.py, each times the row's weight; adds
 * up the value and the weights. `even` says that this is a whole block of one weight. */
static void FN(penalties)(
    const Goal *goal, double state, const double *restrict residual,
    const double *restrict weight, size_t m, int even, double *restrict psi,
    double *restrict sharp, double *restrict safe, double *value, double *total)
{
    double sum = 0.0, all = 0.0;
    double d = state, over = goal->setting;
    if (goal->kind == HUBER) {
#pragma omp simd reduction(+ : sum)
        for (size_t r = 0; r < m; r++) {
            double e = residual[r], size = fabs(e);
            double w = e <= 0.0 ? weight[r] * over : weight[r];
            double p = e > d ? d : e;
            p = p < -d ? -d : p;
            double s = d / (size < d ? d : size);
            sum += w * p * (e - 0.5 * p);
            psi[r] = w * p;
            safe[r] = w * s;
            sharp[r] = s >= 1.0 ? w : 0.0;
        }
    } else if (goal->kind == STUDENT) {
        double per = 1.0 / state, nu = goal->setting, back = 1.0 / nu;
        double lead = (nu + 1.0) * per * per, together = INFINITY;
#pragma omp simd reduction(+ : all)
        for (size_t r = 0; r < m; r++) {
            double e = residual[r], z = e * per, spread = z * z + nu;
            all += weight[r];
            double s = 1.0 / spread, w = weight[r] * (lead * s);
            psi[r] = w * e;
            safe[r] = w;
            sharp[r] = w * (2.0 * nu * s - 1.0);
        }
        if (even)
            together = FN(logs_together)(residual, per, nu, back);
        if (isfinite(together)) {
            sum = weight[0] * together;
        } else {
#pragma omp simd reduction(+ : sum)
            for (size_t r = 0; r < m; r++) {
                double z = residual[r] * per;
                sum += weight[r] * FN(log)((z * z + nu) * back);
            }
        }
    } else {
#pragma omp simd reduction(+ : sum)
        for (size_t r = 0; r < m; r++) {
            double w = weight[r], e = residual[r];
            sum += w * e * e;
            psi[r] = w * e;
            safe[r] = w;
        }
    }
    *value += sum, *total += all;
}

/* Sums over rows of (a x) y_k, and of (b x) y_k where b is given, for `count` planes y. */
#define SWEEP(COUNT)                                                                               \
    do {                                                                                           \
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;                     \
        if (b) {                                                                                   \
            _Pragma("omp simd reduction(+ : s0, s1, s2, s3, t0, t1, t2, t3)")                      \
            for (size_t r = 0; r < m; r++) {                                                       \
                double u = a[r] * x[r], v = b[r] * x[r];                                           \
                s0 += u * y0[r], t0 += v * y0[r];                                                  \
                if (COUNT > 1) s1 += u * y1[r], t1 += v * y1[r];                                   \
                if (COUNT > 2) s2 += u * y2[r], t2 += v * y2[r];                                   \
                if (COUNT > 3) s3 += u * y3[r], t3 += v * y3[r];                                   \
            }                                                                                      \
        } else {                                                                                   \
            _Pragma("omp simd reduction(+ : s0, s1, s2, s3)")                                      \
            for (size_t r = 0; r < m; r++) {                                                       \
                double u = a[r] * x[r];                                                            \
                s0 += u * y0[r];                                                                   \
                if (COUNT > 1) s1 += u * y1[r];                                                    \
                if (COUNT > 2) s2 += u * y2[r];                                                    \
                if (COUNT > 3) s3 += u * y3[r];                                                    \
            }                                                                                      \
        }                                                                                          \
        double s[4] = {s0, s1, s2, s3}, t[4] = {t0, t1, t2, t3};                                   \
        for (int k = 0; k < COUNT; k++) {                                                          \
            into[k] += s[k];                                                                       \
            if (b) also[k] += t[k];                                                                \
        }                                                                                          \
    } while (0)

static void FN(sweep)(
    const double *restrict a, const double *restrict b, const double *restrict x,
    const double *const *y, int count, size_t m, double *into, double *also)
{
    const double *restrict y0 = y[0];
    const double *restrict y1 = y[count > 1 ? 1 : 0];
    const double *restrict y2 = y[count > 2 ? 2 : 0];
    const double *restrict y3 = y[count > 3 ? 3 : 0];
    m &= ~(size_t)(LANES - 1);
    switch (count) {
    case 1: SWEEP(1); break;
    case 2: SWEEP(2); break;
    case 3: SWEEP(3); break;
    default: SWEEP(4); break;
    }
}

/* Adds the rows of one block to the sums of a problem. */
static void FN(gather)(
    const double *psi, const double *sharp, const double *safe, const double *const *plane, int p,
    size_t m, const double *ones, Sums *sums)
{
    for (int k = 0; k < p; k += 4) {
        int count = p - k < 4 ? p - k : 4;
        FN(sweep)(ones, NULL, psi, plane + k, count, m, sums->gradient + k, NULL);
    }
    for (int j = 0; j < p; j++)
        for (int k = 0; k <= j; k += 4) {
            int count = j + 1 - k < 4 ? j + 1 - k : 4;
            size_t at = (size_t)j * p + k;
            FN(sweep)(
                safe, sharp, plane[j], plane + k, count, m, sums->safe + at, sums->sharp + at);
        }
}

/* Residuals of a block and the planes of slopes, either only if it is wanted. */
static void FN(derive)(
    const Task *task, const Work *work, const double *th, const double *const *logs,
    const double *restrict target, size_t m, int slopes, double *restrict residual)
{
    double *restrict value = work->value;
    if (task->law.kind == POWERS)
        FN(powers)(&task->law, th, logs, m, task->log_target, slopes, value, work->planes);
    else if (task->law.kind == TAPED)
        FN(taped)(
            &task->law, th, logs, m, task->log_target, slopes, value, work->planes, work->steps);
    else
        FN(broken)(&task->law, th, logs, m, task->log_target, value, work->planes);
    if (!residual)
        return;
    if (task->log_target)
        for (size_t r = 0; r < m; r++)
            residual[r] = target[r] - FN(log)(value[r]);
    else
        for (size_t r = 0; r < m; r++)
            residual[r] = target[r] - value[r];
}

/* The scale of Student's t at its best: Halley's steps of its logarithm, for the score that
 * StudentT.settle has. A step below 3e-5 leaves an error of its cube.
 *
 * `sums` are the shares at `state`, if they are known. */
static double FN(settle)(
    const Goal *goal, size_t n, const Weights *weight, const double *residual, double state,
    double *sums)
{
    double nu = goal->setting, least = goal->least, again[4];
    double log_s = log(state > least ? state : least);
    for (int turn = 0; turn < 60; turn++) {
        if (!sums) {
            sums = again;
            memset(again, 0, sizeof again);
            for (size_t begin = 0; begin < n; begin += SUMMED) {
                size_t m = n - begin < SUMMED ? n - begin : SUMMED;
                double part[4] = {0};
                FN(shares)(
                    residual + begin, FN(weights_from)(weight, begin), m, exp(-log_s), nu, part);
                for (int i = 0; i < 4; i++)
                    again[i] += part[i];
            }
        }
        double score = (nu + 1.0) * sums[1] - sums[0], fall = 2.0 * (nu + 1.0) * (sums[1] - sums[2]);
        double bend = 4.0 * (nu + 1.0) * (sums[1] - 3.0 * sums[2] + 2.0 * sums[3]);
        double floor = 1e-3 * sums[0], step = score / (fall > floor ? fall : floor);
        /* Far away the third order would lead astray. */
        double turned = 1.0 - step * bend / (2.0 * (fall > floor ? fall : floor));
        step /= turned < 0.5 ? 0.5 : turned > 2.0 ? 2.0 : turned;
        step = step > 2.0 ? 2.0 : step < -2.0 ? -2.0 : step;
        double next = log_s + step;
        log_s = next < log(least) ? log(least) : next;
        if (!(fabs(step) > 3e-5))
            break;
        sums = NULL;
    }
    return exp(log_s);
}

/* Where the rows of block k stand, their number rounded up to whole vectors. The last, short block
 * has been copied and its last row repeated; those repeats weigh nothing. `aimed` says whether the
 * targets are looked at too. */
static size_t FN(block)(
    const Task *task, const Work *work, size_t k, int aimed, const double **logs,
    const double **target)
{
    size_t begin = k * BLOCK, m = task->n - begin < BLOCK ? task->n - begin : BLOCK;
    size_t padded = (m + LANES - 1) & ~(size_t)(LANES - 1);
    /* The next block is on its way while this one is worked on. */
    for (size_t r = begin + BLOCK; r < begin + 2 * BLOCK && r < task->n; r += LANES) {
        for (int i = 0; i < task->law.inputs; i++)
            PREFETCH(task->logs[i] + r);
        if (aimed)
            PREFETCH(task->target + r);
    }
    int here = padded == m || task->padded;
    for (int i = 0; i < task->law.inputs; i++)
        logs[i] = here ? task->logs[i] + begin : work->tail + (size_t)(i + 1) * BLOCK;
    *target = here ? task->target + begin : work->tail;
    return padded;
}

/* Residuals of all rows, one after the other; of few rows the slopes too, if they are wanted. While
 * they are at hand, their shares at the state are added up, if those are wanted. */
static void FN(residuals)(
    const Task *task, const Work *work, const double *th, const Weights *weight, double state,
    int slopes, double *sums)
{
    const double *logs[MOST_INPUTS], *target;
    double part[4] = {0}, per = 1.0 / (state > task->goal.least ? state : task->goal.least);
    slopes &= task->n <= BLOCK;
    for (size_t k = 0; k * BLOCK < task->n; k++) {
        size_t begin = k * BLOCK, rows = task->n - begin < BLOCK ? task->n - begin : BLOCK;
        size_t m = FN(block)(task, work, k, 1, logs, &target);
        FN(derive)(task, work, th, logs, target, m, slopes, work->residual + begin);
        if (!sums)
            continue;
        FN(shares)(
            work->residual + begin, FN(weights_from)(weight, begin), rows, per, task->goal.setting,
            part);
        if ((k + 1) % GROUPED == 0 || begin + rows == task->n) {
            for (int i = 0; i < 4; i++)
                sums[i] += part[i];
            memset(part, 0, sizeof part);
        }
    }
}

/* The objective of one problem, and its sums, if there is room for them: see `assess` in module.c.
 * The state BEGIN stands for the scale that a likelihood begins with. */
static void FN(assess)(
    const Task *task, const Work *work, const double *th, const Weights *weight, double state,
    Standing *found)
{
    const double *logs[MOST_INPUTS], *plane[MOST_PARAMETERS] = {0}, *target;
    size_t p = (size_t)task->law.free, count = p + 2 * p * p;
    size_t blocks = (task->n + BLOCK - 1) / BLOCK;
    int settles = task->goal.kind == STUDENT, same = task->goal.kind == SQUARES;
    int slopes = found->gradient != NULL;
    double value = 0.0, total = 0.0;
    for (int i = 0; i < task->law.parameters; i++)
        if (task->law.slot[i] >= 0)
            plane[task->law.slot[i]] = work->planes + (size_t)i * BLOCK;
    if (settles) {
        double shares[4] = {0};
        int known = state != BEGIN;
        FN(residuals)(task, work, th, weight, state, slopes, known ? shares : NULL);
        if (!known) {
            double squares = FN(squares)(work->residual, weight, task->n, 0.0, 1e100);
            state = sqrt(squares / FN(total)(weight, task->n));
        }
        state = FN(settle)(
            &task->goal, task->n, weight, work->residual, state, known ? shares : NULL);
    }
    double *whole = work->sums, *part = work->sums + count, some = 0.0;
    memset(whole, 0, 2 * count * sizeof *whole);
    Sums sums = {part, part + p, part + p + p * p};
    for (size_t k = 0; k < blocks; k++) {
        size_t begin = k * BLOCK, m = FN(block)(task, work, k, !settles, logs, &target);
        double *residual = work->residual + (settles ? begin : 0);
        /* What the first pass has left stands: residuals, and the slopes of few rows. */
        if (!settles || (slopes && blocks > 1))
            FN(derive)(task, work, th, logs, target, m, slopes, settles ? NULL : residual);
        const double *w = FN(weights_from)(weight, begin);
        if (begin + m > task->n) {
            memset(work->weight + m - LANES, 0, LANES * sizeof *w);
            memcpy(work->weight, w, (task->n - begin) * sizeof *w);
            w = work->weight;
        }
        FN(penalties)(
            &task->goal, state, residual, w, m, m == BLOCK && w == work->flat, work->psi,
            work->sharp, work->safe, &some, &total);
        if (slopes)
            FN(gather)(
                work->psi, same ? NULL : work->sharp, work->safe, plane, (int)p, m, work->ones,
                &sums);
        if ((k + 1) % GROUPED == 0 || k + 1 == blocks) {
            for (size_t i = 0; i < count; i++)
                whole[i] += part[i];
            memset(part, 0, count * sizeof *part);
            value += some, some = 0.0;
        }
    }
    double size = value;
    if (settles) {
        size = value * (task->goal.setting + 1.0) / 2.0;
        value = size + total * (log(state) + task->goal.constant);
    } else if (same) {
        size = value = value / 2.0;
    }
    const double *sharp = same ? whole + p : whole + p + p * p;
    int sound = isfinite(value) != 0;
    for (size_t j = 0; slopes && j < p; j++) {
        found->gradient[j] = -whole[j];
        sound &= isfinite(whole[j]) != 0;
        for (size_t k = 0; k <= j; k++) {
            double one = whole[p + j * p + k], other = sharp[j * p + k];
            found->safe[j * p + k] = found->safe[k * p + j] = one;
            found->sharp[j * p + k] = found->sharp[k * p + j] = other;
            sound &= isfinite(one) && isfinite(other);
        }
    }
    found->value = sound ? value : INFINITY;
    found->size = size;
    found->state = state;
}

static void FN(assess_rows)(
    const Task *task, const Work *work, const double *th, const double *weight, double state,
    Standing *found)
{
    Weights weights = FN(weights_of)(work, weight, task->n);
    FN(assess)(task, work, th, &weights, state, found);
}

static double FN(settle_rows)(
    const Goal *goal, size_t n, const double *weight, const double *residual, double state)
{
    Weights weights = {weight, 0};
    return FN(settle)(goal, n, &weights, residual, state, NULL);
}
