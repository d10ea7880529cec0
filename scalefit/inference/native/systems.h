/* Small linear systems for many sets of starts at once, as Screen.coefficients in starts.py.
 *
 * Included once for each instruction set (see module.c).
 */

/* Solves by L D L' the systems of rows `from` to m of a (lower triangles) with the right sides b. */
INLINE void FN(solve_lanes)(
    double a[MOST_COLUMNS][MOST_COLUMNS][LANES], double b[MOST_COLUMNS][LANES], int from, int m,
    double x[MOST_COLUMNS][LANES])
{
    double share[MOST_COLUMNS][MOST_COLUMNS][LANES], rest[MOST_COLUMNS][MOST_COLUMNS][LANES];
    for (int i = from; i < m; i++) {
        for (int k = from; k <= i; k++)
            memcpy(rest[i][k], a[i][k], sizeof rest[i][k]);
        memcpy(x[i], b[i], sizeof x[i]);
    }
    for (int j = from; j < m; j++)
        for (int i = j + 1; i < m; i++) {
            for (int l = 0; l < LANES; l++)
                share[i][j][l] = rest[i][j][l] / rest[j][j][l];
            for (int k = j + 1; k <= i; k++)
                for (int l = 0; l < LANES; l++)
                    rest[i][k][l] -= share[i][j][l] * rest[k][j][l];
            for (int l = 0; l < LANES; l++)
                x[i][l] -= share[i][j][l] * x[j][l];
        }
    for (int j = m - 1; j >= from; j--) {
        for (int l = 0; l < LANES; l++)
            x[j][l] /= rest[j][j][l];
        for (int i = j + 1; i < m; i++)
            for (int l = 0; l < LANES; l++)
                x[j][l] -= share[i][j][l] * x[i][l];
    }
}

/* The sets of one replicate, each of m columns: the loops over them unroll where m is known. */
INLINE void FN(screen_of)(
    int m, const Sets *sets, const double *sums, const int64_t *number, double *left,
    double *solution)
{
    int from = sets->floored && m > 1;
    double whole = sums[sets->square];
    for (size_t begin = 0; begin < sets->count; begin += LANES) {
        double a[MOST_COLUMNS][MOST_COLUMNS][LANES], b[MOST_COLUMNS][LANES];
        double x[MOST_COLUMNS][LANES], y[MOST_COLUMNS][LANES];
        size_t most = sets->count - begin < LANES ? sets->count - begin : LANES, at[LANES];
        for (size_t l = 0; l < LANES; l++)
            at[l] = begin + (l < most ? l : most - 1);
        const int64_t *one = number;
        for (int i = 0; i < m; i++)
            for (int k = 0; k <= i; k++, one += sets->count) {
                double firm = i == k ? 1.0 + sets->firm : 1.0;
                for (int l = 0; l < LANES; l++)
                    a[i][k][l] = sums[one[at[l]]] * firm;
            }
        for (int i = 0; i < m; i++, one += sets->count)
            for (int l = 0; l < LANES; l++)
                b[i][l] = sums[one[at[l]]];
        FN(solve_lanes)(a, b, 0, m, x);
        if (from) {
            /* Where the floor would be negative the best curve has none. */
            FN(solve_lanes)(a, b, 1, m, y);
            for (int l = 0; l < LANES; l++) {
                int none = x[0][l] <= 0.0;
                x[0][l] = none ? 0.0 : x[0][l];
                for (int i = 1; i < m; i++)
                    x[i][l] = none ? y[i][l] : x[i][l];
            }
        }
        for (size_t l = 0; l < most; l++) {
            double explained = 0.0;
            int positive = 1;
            for (int i = 0; i < m; i++) {
                explained += x[i][l] * b[i][l];
                positive &= x[i][l] > 0.0 || (sets->floored && i == 0);
                if (solution)
                    solution[(size_t)i * sets->stride + begin + l] = x[i][l];
            }
            left[begin + l] = positive || !sets->positive ? whole - explained : INFINITY;
        }
    }
}

/* The sets of one replicate: see `screen` in module.c. */
static void FN(screen)(
    const Sets *sets, const double *sums, const int64_t *number, double *left, double *solution)
{
    switch (sets->columns) {
    case 2: FN(screen_of)(2, sets, sums, number, left, solution); break;
    case 3: FN(screen_of)(3, sets, sums, number, left, solution); break;
    case 4: FN(screen_of)(4, sets, sums, number, left, solution); break;
    default: FN(screen_of)(sets->columns, sets, sums, number, left, solution);
    }
}
