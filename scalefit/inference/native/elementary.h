/* exp, log and log1p without branches, so that a loop over them becomes vector instructions.
 *
 * Included once for each instruction set (see module.c). Within two units in the last place of the
 * true value; infinities, zeros and what is not a number come out as from <math.h>.
 *
 * Sources: Cody & Waite 1980 (reduction by a split ln 2); the logarithm by
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

/* exp(r) = 1 + r + r^2 P(r) for |r| <= log(2) / 2, P of degree 9 through Chebyshev's nodes: its
 * error is 2e-17. What would be subnormal is 0. */
static inline double FN(exp)(double x)
{
    double shifted = x * 0x1.71547652b82fep0 + 0x1.8p52, k = shifted - 0x1.8p52;
    double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    double q = 0x1.af389ed28db09p-26;
    q = q * r + 0x1.28917c8be7ad6p-22;
    q = q * r + 0x1.71de0db2f585ep-19;
    q = q * r + 0x1.a019b914985a9p-16;
    q = q * r + 0x1.a01a01a7c2f03p-13;
    q = q * r + 0x1.6c16c17889ef9p-10;
    q = q * r + 0x1.11111111109b5p-7;
    q = q * r + 0x1.5555555553d68p-5;
    q = q * r + 0x1.5555555555556p-3;
    q = q * r + 0x1.0000000000001p-1;
    q = q * r * r + r;
    q = q + 1.0;
    /* k stands in the last bits of what was shifted; there it is added to the exponent. */
    double found = FN(from_bits)(FN(to_bits)(q) + (FN(to_bits)(shifted) << 52));
    found = x < -708.0 ? 0.0 : found;
    return x > 709.78271289338397 ? INFINITY : found;
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
    int small = x < 0x1p-1022;
    uint64_t bits = FN(to_bits)(small ? x * 0x1p54 : x);
    /* The exponent as it is for numbers from sqrt(1/2) to sqrt(2), and 1024 more. */
    uint64_t power = (bits - 0x3fe6a09e667f3bcdu + 0x4000000000000000u) >> 52;
    double k = FN(from_bits)(power | 0x4330000000000000u) - (small ? 0x1p52 + 1078.0 : 0x1p52 + 1024.0);
    double found = FN(log_near)(FN(from_bits)(bits - ((power - 1024) << 52)) - 1.0, k);
    found = x > 0.0 ? found : (x == 0.0 ? -INFINITY : NAN);
    return x > 0x1.fffffffffffffp1023 ? x : found;
}

/* log(1 + x) for x from 0 to 1. */
static inline double FN(log1p)(double x)
{
    double far = x > 0.41421356237309503 ? 1.0 : 0.0;
    return FN(log_near)(x - far * (0.5 * x + 0.5), far);
}
