/* The search of one problem: as `solve` in solver.py, line by line, so that both end alike.
 *
 * Included once for each instruction set (see module.c).
 */

static double FN(clipped)(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void FN(theta_of)(const Search *search, const double *u, double *theta)
{
    for (int i = 0; i < search->task->law.parameters; i++)
        theta[i] = search->fixed[i];
    for (int j = 0; j < search->p; j++)
        theta[search->number[j]] = search->log[j] ? exp(u[j]) : u[j];
}

static void FN(assess_at)(
    const Search *search, const double *u, const Weights *weight, double state, Standing *found)
{
    double theta[MOST_PARAMETERS];
    FN(theta_of)(search, u, theta);
    *search->looked += search->task->n;
    if (*search->looked > PATIENCE) {
        *search->looked = 0;
        *search->stopped |= interrupted();
    }
    FN(assess)(search->task, search->work, theta, weight, state, found);
}

/* State to start from: as `begin` of the objective. */
static double FN(begun)(const Search *search, const double *u, const Weights *weight)
{
    const Goal *goal = &search->task->goal;
    double theta[MOST_PARAMETERS], sum = 0.0;
    if (goal->kind != HUBER)
        return goal->kind == STUDENT ? BEGIN : 1.0;
    if (!search->cold)
        return goal->least;
    FN(theta_of)(search, u, theta);
    FN(residuals)(search->task, search->work, theta, weight, 1.0, 0, NULL);
    const double *residual = search->work->residual;
    for (size_t r = 0; r < search->task->n; r++) {
        double size = fabs(residual[r]);
        sum += weight->row[weight->flat ? 0 : r] * (size < 1e6 ? size : 1e6);
    }
    double state = sum / FN(total)(weight, search->task->n);
    return state > goal->least ? state : goal->least;
}

static double FN(tightened)(const Goal *goal, double state)
{
    if (goal->kind != HUBER)
        return state;
    return state / 4 > goal->least ? state / 4 : goal->least;
}

/* Gain that rounding alone could promise: as `rounding_gain` in standing.py. */
static double FN(rounding_of)(const Goal *goal, double state, double rows)
{
    double safe = goal->kind == HUBER ? goal->setting
                  : goal->kind == STUDENT
                      ? (goal->setting + 1.0) / (state * state) / goal->setting
                      : 1.0;
    return 1e-28 * safe * rows;
}

/* Step of the parameters that the target is linear in, and its gain: as `_following`. */
static double FN(following)(const Search *search, const double *u, const Standing *at, double *step)
{
    int p = search->p, which[MOST_PARAMETERS], q = 0;
    double form[MOST_PARAMETERS * MOST_PARAMETERS], pull[MOST_PARAMETERS], part[MOST_PARAMETERS];
    double low[MOST_PARAMETERS], high[MOST_PARAMETERS], gain = 0.0;
    for (int j = 0; j < p; j++) {
        if (step)
            step[j] = 0.0;
        if (search->affine[j])
            which[q++] = j;
    }
    if (q == 0)
        return 0.0;
    for (int i = 0; i < q; i++) {
        int j = which[i];
        for (int k = 0; k < q; k++)
            form[i * q + k] = at->safe[j * p + which[k]];
        form[i * q + i] *= 1.0 + search->rules->firm;
        pull[i] = -at->gradient[j];
        low[i] = search->low[j] - u[j], high[i] = search->high[j] - u[j];
    }
    int solved = FN(least_in_form)(form, pull, low, high, q, (long)search->rules->turns, part);
    for (int i = 0; i < q; i++) {
        double bend = 0.0;
        for (int k = 0; k < q; k++)
            bend += at->safe[which[i] * p + which[k]] * part[k];
        gain -= part[i] * (bend / 2 - pull[i]);
        if (step)
            step[which[i]] = part[i];
    }
    return solved && gain > 0.0 ? gain : 0.0;
}

static double FN(merit_of)(const Search *search, const double *u, const Standing *at)
{
    return search->any_affine ? at->value - FN(following)(search, u, at, NULL) : at->value;
}

/* Damped step inside the box and the gain it promises; whether it exists: as `_step`. */
static int FN(next_step)(
    const Search *search, const double *u, const Standing *at, const double *scale, double damping,
    double *step, double *gain)
{
    int p = search->p;
    const Rules *rules = search->rules;
    double system[MOST_PARAMETERS * MOST_PARAMETERS], pull[MOST_PARAMETERS];
    double low[MOST_PARAMETERS], high[MOST_PARAMETERS], most = scale[0], reach = 0.0;
    for (int j = 1; j < p; j++)
        most = scale[j] > most ? scale[j] : most;
    for (int j = 0; j < p; j++) {
        for (int k = 0; k < p; k++) {
            double spared = (search->affine[j] ? rules->spared : 1.0) *
                            (search->affine[k] ? rules->spared : 1.0);
            double safe = at->safe[j * p + k], sharp = at->sharp[j * p + k];
            system[j * p + k] = search->any_affine
                                    ? safe * (damping * (1.0 + spared)) + sharp * (1.0 - damping)
                                    : sharp + damping * safe;
        }
        double metric = 0.01 * scale[j], floor = 1e-12 * most;
        system[j * p + j] += damping * (metric > floor ? metric : floor);
        pull[j] = -at->gradient[j];
        low[j] = search->low[j] - u[j], high[j] = search->high[j] - u[j];
    }
    int solved = FN(least_in_form)(system, pull, low, high, p, (long)rules->turns, step);
    if (search->cold) {
        for (int j = 0; j < p; j++)
            if (search->log[j] && fabs(step[j]) > reach)
                reach = fabs(step[j]);
        double shorter = reach > rules->longest ? rules->longest / reach : 1.0;
        for (int j = 0; j < p; j++)
            step[j] *= shorter;
    }
    /* The last bits of a step go where rounding sends them: its gain may lose what they are worth. */
    double blur = 0.0, found = 0.0;
    for (int j = 0; j < p; j++)
        step[j] = FN(clipped)(u[j] + step[j], search->low[j], search->high[j]) - u[j];
    for (int j = 0; j < p; j++) {
        double bend = 0.0, bits = 0x1p-52 * fabs(u[j]);
        for (int k = 0; k < p; k++)
            bend += at->sharp[j * p + k] * step[k];
        found -= step[j] * (at->gradient[j] + bend / 2);
        blur += fabs(at->gradient[j]) * bits + p * fabs(at->sharp[j * p + j]) * bits * bits;
    }
    *gain = found > 0.0 ? found : 0.0;
    return solved && found >= -blur;
}

/* Leaves out the rows that weigh nothing, if enough of them do to repay it: a third of a bootstrap
 * resample. Gives back the weights of the others. */
static const double *FN(packed)(const Search *search, const double *weight, Task *some)
{
    const Task *task = search->task;
    const Work *work = search->work;
    size_t n = task->n, m = 0, packs = work->packs;
    int *chosen = work->chosen;
    for (size_t r = 0; packs && r < n; r++) {
        chosen[m] = (int)r;
        m += weight[r] != 0.0;
    }
    if (m == 0 || n - m < n / 8 + 1)
        return NULL;
    size_t padded = (m + LANES - 1) & ~(size_t)(LANES - 1);
    for (int i = -2; i < task->law.inputs; i++) {
        const double *from = i == -2 ? weight : i == -1 ? task->target : task->logs[i];
        double *to = work->packed + (size_t)(i + 2) * packs;
        for (size_t k = 0; k < m; k++)
            to[k] = from[chosen[k]];
        for (size_t k = m; k < padded; k++)
            to[k] = to[m - 1];
        if (i == -1)
            some->target = to;
        else if (i >= 0)
            some->logs[i] = to;
    }
    some->n = m, some->padded = 1;
    return work->packed;
}

/* Minimises the objective of one problem from u, shape (p,), which is left where it ends. */
static End FN(search_one)(const Search *whole, double *u, const double *weights)
{
    Search own = *whole;
    const Search *search = &own;
    const double *packed = FN(packed)(whole, weights, whole->some);
    if (packed)
        own.task = whole->some;
    Weights own_weights = FN(weights_of)(own.work, packed ? packed : weights, own.task->n);
    const Weights *weight = &own_weights;
    const Rules *rules = search->rules;
    const Goal *goal = &search->task->goal;
    int p = search->p, converged = 0;
    Room rooms[2];
    Standing here = {0, 0, 0, rooms[0].gradient, rooms[0].sharp, rooms[0].safe};
    Standing there = {0, 0, 0, rooms[1].gradient, rooms[1].sharp, rooms[1].safe};
    double scale[MOST_PARAMETERS], step[MOST_PARAMETERS], trial[MOST_PARAMETERS];
    double damping = rules->cold_damping, growth = 2.0, gain = 0.0, lost = 0.0;
    long steps = 1, stage = 0;
    for (int j = 0; j < p; j++)
        u[j] = FN(clipped)(u[j], search->low[j], search->high[j]);
    FN(assess_at)(search, u, weight, FN(begun)(search, u, weight), &here);
    for (int j = 0; j < p; j++) {
        scale[j] = here.safe[j * p + j];
        lost += 1.0 - here.sharp[j * p + j] / (scale[j] > 1e-300 ? scale[j] : 1e-300);
    }
    if (!search->cold) {
        lost /= p;
        lost = lost == lost ? lost * lost * lost * lost : 0.0;
        damping = FN(clipped)(lost, rules->warm_damping, rules->cold_damping);
    }
    /* As `Problem.rounding`: a log near 0 is rounded as one near 1 is. */
    double rows = FN(squares)(
        search->task->target, weight, search->task->n, search->task->log_target ? 1.0 : 0.0,
        INFINITY);
    double merit = FN(merit_of)(search, u, &here);
    while (isfinite(here.value) && !*search->stopped) {
        int solved = FN(next_step)(search, u, &here, scale, damping, step, &gain);
        double rounding = FN(rounding_of)(goal, here.state, rows), size = here.size;
        int last = FN(tightened)(goal, here.state) == here.state;
        int stuck = damping > rules->most_damping;
        int loose = !last && (stuck || (solved && (gain <= 1e-3 * size || stage >= rules->stage)));
        /* A heavily damped step gains little wherever it stands: that is no sign of a minimum. */
        int free = damping <= rules->light;
        int done = last && solved &&
                   ((free && gain <= search->tolerance * size + rounding) || size <= rounding);
        if (done) {
            converged = 1;
            /* The last step costs no evaluation: what it leaves is the square of what it takes. */
            for (int j = 0; free && j < p; j++)
                u[j] += step[j];
            break;
        }
        if (loose) {
            FN(assess_at)(search, u, weight, FN(tightened)(goal, here.state), &here);
            merit = FN(merit_of)(search, u, &here);
            damping = damping < 0.1 ? damping : 0.1;
            growth = 2.0, stage = 0;
        } else if (!solved && !stuck) {
            damping *= 10.0;
        } else if (solved && !stuck) {
            for (int j = 0; j < p; j++)
                trial[j] = u[j] + step[j];
            FN(assess_at)(search, trial, weight, here.state, &there);
            int sound = isfinite(there.value) != 0;
            double value = here.value, after = FN(merit_of)(search, trial, &there);
            /* What following alone would gain here is no merit of the step. */
            double promised = gain - (value - merit);
            promised = promised > rules->due * gain ? promised : rules->due * gain;
            /* No derivative is steeper than its parabola allows: psi^2 <= 2 rho safe(0). */
            double seen = 1e-2 * sqrt(2 * size * rounding), blur = 1e-4 * size;
            blur = seen < blur ? seen : blur;
            blur = blur > 1e-13 * size ? blur : 1e-13 * size;
            double ratio =
                sound ? (merit - after) / (promised > 1e-300 ? promised : 1e-300) : -1.0;
            int took = sound && (after < merit || there.value < value);
            /* A gain at rounding level cannot be seen; the step is still the better one. */
            int unseen = sound && gain <= blur && there.value <= value + 10 * blur;
            if (took || unseen) {
                Standing left = here;
                here = there, there = left;
                memcpy(u, trial, (size_t)p * sizeof *u);
                merit = after;
                for (int j = 0; j < p; j++)
                    if (here.safe[j * p + j] > scale[j])
                        scale[j] = here.safe[j * p + j];
            }
            steps++, stage++;
            damping *= unseen || ratio > 0.75 ? 0.15 : ratio > 0.25 ? 1.0 : growth;
            damping = damping > 1e-15 ? damping : 1e-15;
            growth = took || unseen ? 3.0 : 2 * growth;
        }
        if ((stuck && last) || steps >= search->limit)
            break;
    }
    if (!converged && merit < here.value && !*search->stopped) {
        /* To where the parameters that the target is linear in have followed. */
        FN(following)(search, u, &here, step);
        for (int j = 0; j < p; j++)
            trial[j] = FN(clipped)(u[j] + step[j], search->low[j], search->high[j]);
        FN(assess_at)(search, trial, weight, here.state, &there);
        if (there.value < here.value) {
            here = there;
            memcpy(u, trial, (size_t)p * sizeof *u);
        }
    }
    return (End){here.value, here.state, converged, steps};
}
