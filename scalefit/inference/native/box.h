/* Least quadratic forms in a box: as systems.py, one problem at a time.
 *
 * Included once for each instruction set (see module.c).
 */

/* Solves the rows and columns `which` of a system by L D L'; whether it was positive definite. */
static int FN(solve_some)(
    const double *system, int p, const int *which, int count, const double *right, double *x)
{
    double a[MOST_PARAMETERS][MOST_PARAMETERS], share[MOST_PARAMETERS][MOST_PARAMETERS];
    int sound = 1;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k <= i; k++)
            a[i][k] = system[(size_t)which[i] * p + which[k]];
        x[i] = right[i];
    }
    for (int j = 0; j < count; j++) {
        double pivot = a[j][j], per = 1.0 / pivot;
        sound &= pivot > 1e-15 * fabs(system[(size_t)which[j] * p + which[j]]);
        for (int i = j + 1; i < count; i++) {
            share[i][j] = a[i][j] * per;
            x[i] -= share[i][j] * x[j];
            for (int k = j + 1; k <= i; k++)
                a[i][k] -= share[i][j] * a[k][j];
        }
    }
    for (int j = count - 1; j >= 0; j--) {
        x[j] /= a[j][j];
        for (int i = j + 1; i < count; i++)
            x[j] -= share[i][j] * x[i];
        sound &= isfinite(x[j]) != 0;
    }
    return sound;
}

/* See `least_in_box` in systems.py. */
static int FN(least_in_form)(
    const double *system, const double *right, const double *least, const double *most, int p,
    long turns, double *x)
{
    int side[MOST_PARAMETERS], which[MOST_PARAMETERS], sound = 1;
    double found[MOST_PARAMETERS], pull[MOST_PARAMETERS], part[MOST_PARAMETERS];
    for (int i = 0; i < p; i++)
        side[i] = least[i] >= 0.0 && right[i] < 0.0 ? -1 : most[i] <= 0.0 && right[i] > 0.0;
    for (long turn = 0; turn < turns; turn++) {
        int count = 0, changed = 0;
        for (int i = 0; i < p; i++) {
            found[i] = side[i] < 0 ? least[i] : side[i] > 0 ? most[i] : 0.0;
            if (!side[i])
                which[count++] = i;
        }
        for (int f = 0; f < count; f++) {
            pull[f] = right[which[f]];
            if (count < p)
                for (int k = 0; k < p; k++)
                    if (side[k])
                        pull[f] -= system[(size_t)which[f] * p + k] * found[k];
        }
        sound = FN(solve_some)(system, p, which, count, pull, part);
        for (int f = 0; f < count; f++)
            found[which[f]] = sound ? part[f] : 0.0;
        for (int i = 0; i < p; i++) {
            int now = found[i] < least[i] ? -1 : found[i] > most[i];
            if (side[i]) {
                double slope = -right[i];
                for (int k = 0; k < p; k++)
                    slope += system[(size_t)i * p + k] * found[k];
                now = slope * side[i] > 0.0 ? 0 : side[i];
            }
            changed |= now != side[i];
            x[i] = found[i] < least[i] ? least[i] : found[i] > most[i] ? most[i] : found[i];
            part[i] = now;
        }
        for (int i = 0; i < p; i++)
            side[i] = (int)part[i];
        if (!changed || !sound)
            break;
    }
    return sound;
}
