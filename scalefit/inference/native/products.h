/* Sums over rows of weights times columns, for many sets of weights: what a BLAS calls gemm, on one
 * thread and with each set's sums its own, so that they depend on no batch and on no machine's cores.
 *
 * Included once for each instruction set (see module.c), with the bytes of its vectors in PACK.
 */

enum { FN(SETS_TOGETHER) = 4 };

#if defined(__GNUC__)
typedef double FN(pack) __attribute__((vector_size(PACK), aligned(8), may_alias));
enum { FN(EACH) = PACK / 8, FN(WIDTH) = 3 * FN(EACH) };

/* Sums of four sets of n weights, one after the other, for the columns of three vectors. */
static void FN(twelve)(
    const double *weight, size_t n, const double *column, size_t columns, double *sums)
{
    FN(pack) s[FN(SETS_TOGETHER)][3] = {0};
    for (size_t r = 0; r < n; r++, column += columns) {
        FN(pack) a = *(const FN(pack) *)column;
        FN(pack) b = *(const FN(pack) *)(column + FN(EACH));
        FN(pack) c = *(const FN(pack) *)(column + 2 * FN(EACH));
        s[0][0] += weight[r] * a, s[0][1] += weight[r] * b, s[0][2] += weight[r] * c;
        s[1][0] += weight[n + r] * a, s[1][1] += weight[n + r] * b, s[1][2] += weight[n + r] * c;
        s[2][0] += weight[2 * n + r] * a, s[2][1] += weight[2 * n + r] * b;
        s[2][2] += weight[2 * n + r] * c;
        s[3][0] += weight[3 * n + r] * a, s[3][1] += weight[3 * n + r] * b;
        s[3][2] += weight[3 * n + r] * c;
    }
    for (size_t i = 0; i < FN(SETS_TOGETHER); i++)
        for (size_t j = 0; j < 3; j++)
            *(FN(pack) *)(sums + i * columns + j * FN(EACH)) = s[i][j];
}
#endif

/* Sums, shape (sets, columns), of weights (sets, n) times rows of columns (n, columns). */
static void FN(products)(
    const double *weight, size_t sets, size_t n, const double *column, size_t columns, double *sums)
{
    size_t begin = 0;
#if defined(__GNUC__)
    /* Few columns at a time for all sets: those stay in the cache. The last few overlap others. */
    for (size_t done = 0; done < columns && columns >= FN(WIDTH); done += FN(WIDTH)) {
        size_t at = done + FN(WIDTH) <= columns ? done : columns - FN(WIDTH);
        for (begin = 0; begin + FN(SETS_TOGETHER) <= sets; begin += FN(SETS_TOGETHER))
            FN(twelve)(weight + begin * n, n, column + at, columns, sums + begin * columns + at);
    }
#endif
    for (size_t b = begin; b < sets; b++) {
        double *restrict own = sums + b * columns;
        memset(own, 0, columns * sizeof *own);
        for (size_t r = 0; r < n; r++) {
            const double *restrict row = column + r * columns;
            double w = weight[b * n + r];
            for (size_t k = 0; k < columns; k++)
                own[k] += w * row[k];
        }
    }
}
