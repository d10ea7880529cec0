/* exp, log and log1p without branches, so that a loop over them becomes vector instructions.
 *
 * Included once for each instruction set (see module.c). Within two units in the last place of the
 * true value; infinities, zeros and what is not a number come out as from <math.h>.
 *
 * Sources: Cody & Waite 1980 (reduction by a split ln 2); Taylor's series for exp; the logarithm by
 * atanh's series with the minimax coefficients of FDLIBM's e_log.c (Sun Microsystems 1993, freely
 * distributable).
 */

static inline double FN(from_bits)(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t FN(to_bits)(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^k for a whole number k of at most 1023 either way: k + 1.5 * 2^52 has k in its last bits. */
static inline double FN(two_to)(double k)
{
    return FN(from_bits)((FN(to_bits)(k + 0x1.8p52) << 52) + 0x3ff0000000000000u);
}

static inline double FN(exp)(double x)
{
    double c = x > 710.0 ? 710.0 : x;
    c = c < -746.0 ? -746.0 : c;
    double k = (c * 0x1.71547652b82fep0 + 0x1.8p52) - 0x1.8p52;
    double r = (c - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    double q = 1.0 / 6227020800.0;
    q = q * r + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    q = q * r * r + r;
    q = q + 1.0;
    /* In two factors: the whole one leaves the doubles before the result does. */
    double half = (k * 0.5 + 0x1.8p52) - 0x1.8p52;
    return q * FN(two_to)(half) * FN(two_to)(k - half);
}

/* log(1 + f) + k log 2 for f from sqrt(1/2) - 1 to sqrt(2) - 1. */
static inline double FN(log_near)(double f, double k)
{
    double s = f / (2.0 + f), z = s * s;
    double w = 1.479819860511658591e-01;
    w = w * z + 1.531383769920937332e-01;
    w = w * z + 1.818357216161805012e-01;
    w = w * z + 2.222219843214978396e-01;
    w = w * z + 2.857142874366239149e-01;
    w = w * z + 3.999999999940941908e-01;
    w = w * z + 6.666666666666735130e-01;
    w = w * z;
    double half = 0.5 * f * f;
    double low = s * (half + w) + k * 1.90821492927058770002e-10;
    return k * 6.93147180369123816490e-01 - ((half - low) - f);
}

static inline double FN(log)(double x)
{
    double small = x < 0x1p-1022 ? 1.0 : 0.0;
    uint64_t bits = FN(to_bits)(x * (1.0 + small * (0x1p54 - 1.0)));
    double k = FN(from_bits)((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
    double m = FN(from_bits)((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    double far = m > 1.4142135623730951 ? 1.0 : 0.0;
    double found = FN(log_near)(m * (1.0 - 0.5 * far) - 1.0, k + far - 54.0 * small);
    found = x > 0.0 ? found : (x == 0.0 ? -INFINITY : NAN);
    return x > 0x1.fffffffffffffp1023 ? x : found;
}

/* log(1 + x) for x from 0 to 1. */
static inline double FN(log1p)(double x)
{
    double far = x > 0.41421356237309503 ? 1.0 : 0.0;
    return FN(log_near)(x - far * (0.5 * x + 0.5), far);
}
