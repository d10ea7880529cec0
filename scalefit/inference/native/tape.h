/* Any formula, by the steps that scalefit/laws/tape.py has taken down: forwards for the value,
 * backwards for the slopes.
 *
 * Included once for each instruction set (see module.c).
 */

/* expm1 and log1p for any x: exp and log lose what is small beside 1, and tell how much (Kahan). */
static inline double FN(expm1)(double x)
{
    double u = FN(exp)(x), less = u - 1.0;
    double mended = less * (x / FN(log)(u));
    double found = fabs(x) > 0.5 ? less : mended;
    return u == 1.0 ? x : found;
}

static inline double FN(log_of_one_and)(double x)
{
    double u = 1.0 + x, found = FN(log)(u);
    double mended = found * (x / (u - 1.0));
    found = fabs(x) > 0.5 ? found : mended;
    return u == 1.0 ? x : found;
}

static inline double FN(tanh)(double x)
{
    double less = FN(expm1)(-2.0 * fabs(x)), found = -less / (2.0 + less);
    return x < 0.0 ? -found : found;
}

/* As NumPy's: what is not a number stays so. */
static inline double FN(least)(double a, double b)
{
    return a <= b || a != a ? a : b;
}

static inline double FN(most)(double a, double b)
{
    return a >= b || a != a ? a : b;
}

/* a^b for a b that is not whole, or a parameter. */
static inline double FN(power)(double a, double b)
{
    return FN(exp)(b * FN(log)(a));
}

/* Its slope in a, given y = a^b: where a hinge leaves zero it is zero too. */
static inline double FN(slope_of_power)(double a, double b, double y)
{
    return a == 0.0 && b > 0.0 ? 0.0 : b * y / a;
}

static inline double FN(slope_of_root)(double y)
{
    return y == 0.0 ? 0.0 : 0.5 / y;
}

/* And that of a power in b. */
static inline double FN(slope_in_exponent)(double a, double y)
{
    return a == 0.0 && y == 0.0 ? 0.0 : y * FN(log)(a);
}

static double FN(of_two)(int kind, double a, double b)
{
    switch (kind) {
    case ADD: return a + b;
    case SUBTRACT: return a - b;
    case MULTIPLY: return a * b;
    case DIVIDE: return a / b;
    case MINIMUM: return FN(least)(a, b);
    case MAXIMUM: return FN(most)(a, b);
    default: return FN(power)(a, b);
    }
}

static double FN(of_one)(int kind, double a)
{
    switch (kind) {
    case NEGATIVE: return -a;
    case EXP: return FN(exp)(a);
    case EXPM1: return FN(expm1)(a);
    case LOG: return FN(log)(a);
    case LOG1P: return FN(log_of_one_and)(a);
    case SQRT: return sqrt(a);
    case ABSOLUTE: return fabs(a);
    case TANH: return FN(tanh)(a);
    case SIN: return sin(a);
    case COS: return cos(a);
    default: return atan(a);
    }
}

/* d y / d a of y = f(a), and d y / d b too where f has two operands. */
static double FN(slope_of)(int kind, double a, double b, double y, double *other)
{
    *other = 0.0;
    switch (kind) {
    case ADD: *other = 1.0; return 1.0;
    case SUBTRACT: *other = -1.0; return 1.0;
    case MULTIPLY: *other = a; return b;
    case DIVIDE: *other = -y / b; return 1.0 / b;
    case MINIMUM: *other = a <= b ? 0.0 : 1.0; return a <= b ? 1.0 : 0.0;
    case MAXIMUM: *other = a >= b ? 0.0 : 1.0; return a >= b ? 1.0 : 0.0;
    case POWER: *other = FN(slope_in_exponent)(a, y); return FN(slope_of_power)(a, b, y);
    case NEGATIVE: return -1.0;
    case EXP: return y;
    case EXPM1: return y + 1.0;
    case LOG: return 1.0 / a;
    case LOG1P: return 1.0 / (1.0 + a);
    case SQRT: return FN(slope_of_root)(y);
    case ABSOLUTE: return a < 0.0 ? -1.0 : 1.0;
    case TANH: return 1.0 - y * y;
    case SIN: return cos(a);
    case COS: return -sin(a);
    default: return 1.0 / (1.0 + a * a);
    }
}

/* One loop for each way in which two operands can be rows or one number for all rows. */
#define OVER_ROWS(BODY)                                                                            \
    do {                                                                                           \
        if (pa && pb)                                                                              \
            for (size_t r = 0; r < m; r++) {                                                       \
                double a = pa[r], b = pb[r];                                                       \
                (void)a, (void)b;                                                                  \
                BODY;                                                                              \
            }                                                                                      \
        else if (pa)                                                                               \
            for (size_t r = 0; r < m; r++) {                                                       \
                double a = pa[r], b = sb;                                                          \
                (void)a, (void)b;                                                                  \
                BODY;                                                                              \
            }                                                                                      \
        else                                                                                       \
            for (size_t r = 0; r < m; r++) {                                                       \
                double a = sa, b = pb[r];                                                          \
                (void)a, (void)b;                                                                  \
                BODY;                                                                              \
            }                                                                                      \
    } while (0)

static void FN(forward)(
    int kind, const double *restrict pa, double sa, const double *restrict pb, double sb, size_t m,
    double *restrict y)
{
    switch (kind) {
    case ADD: OVER_ROWS(y[r] = a + b); break;
    case SUBTRACT: OVER_ROWS(y[r] = a - b); break;
    case MULTIPLY: OVER_ROWS(y[r] = a * b); break;
    case DIVIDE: OVER_ROWS(y[r] = a / b); break;
    case MINIMUM: OVER_ROWS(y[r] = FN(least)(a, b)); break;
    case MAXIMUM: OVER_ROWS(y[r] = FN(most)(a, b)); break;
    case POWER: OVER_ROWS(y[r] = FN(power)(a, b)); break;
    case NEGATIVE:
        for (size_t r = 0; r < m; r++) y[r] = -pa[r];
        break;
    case EXP:
        for (size_t r = 0; r < m; r++) y[r] = FN(exp)(pa[r]);
        break;
    case EXPM1:
        for (size_t r = 0; r < m; r++) y[r] = FN(expm1)(pa[r]);
        break;
    case LOG:
        for (size_t r = 0; r < m; r++) y[r] = FN(log)(pa[r]);
        break;
    case LOG1P:
        for (size_t r = 0; r < m; r++) y[r] = FN(log_of_one_and)(pa[r]);
        break;
    case SQRT:
        for (size_t r = 0; r < m; r++) y[r] = sqrt(pa[r]);
        break;
    case ABSOLUTE:
        for (size_t r = 0; r < m; r++) y[r] = fabs(pa[r]);
        break;
    case TANH:
        for (size_t r = 0; r < m; r++) y[r] = FN(tanh)(pa[r]);
        break;
    case SIN:
        for (size_t r = 0; r < m; r++) y[r] = sin(pa[r]);
        break;
    case COS:
        for (size_t r = 0; r < m; r++) y[r] = cos(pa[r]);
        break;
    default:
        for (size_t r = 0; r < m; r++) y[r] = atan(pa[r]);
        break;
    }
}

/* Adds g times a slope to what flows back to an operand; `more` is whether anything has before. */
#define BACK(more, to, SLOPE)                                                                      \
    do {                                                                                           \
        if (more)                                                                                  \
            OVER_ROWS(to[r] += g[r] * (SLOPE));                                                    \
        else                                                                                       \
            OVER_ROWS(to[r] = g[r] * (SLOPE));                                                     \
    } while (0)

static void FN(backward)(
    int kind, const double *restrict g, const double *restrict y, const double *pa, double sa,
    const double *pb, double sb, size_t m, double *restrict ga, int more_a, double *restrict gb,
    int more_b)
{
    (void)y;
    switch (kind) {
    case ADD:
        if (ga) BACK(more_a, ga, 1.0);
        if (gb) BACK(more_b, gb, 1.0);
        break;
    case SUBTRACT:
        if (ga) BACK(more_a, ga, 1.0);
        if (gb) BACK(more_b, gb, -1.0);
        break;
    case MULTIPLY:
        if (ga) BACK(more_a, ga, b);
        if (gb) BACK(more_b, gb, a);
        break;
    case DIVIDE:
        if (ga) BACK(more_a, ga, 1.0 / b);
        if (gb) BACK(more_b, gb, -y[r] / b);
        break;
    case MINIMUM:
        if (ga) BACK(more_a, ga, a <= b ? 1.0 : 0.0);
        if (gb) BACK(more_b, gb, a <= b ? 0.0 : 1.0);
        break;
    case MAXIMUM:
        if (ga) BACK(more_a, ga, a >= b ? 1.0 : 0.0);
        if (gb) BACK(more_b, gb, a >= b ? 0.0 : 1.0);
        break;
    case POWER:
        if (ga) BACK(more_a, ga, FN(slope_of_power)(a, b, y[r]));
        if (gb) BACK(more_b, gb, FN(slope_in_exponent)(a, y[r]));
        break;
    case NEGATIVE: BACK(more_a, ga, -1.0); break;
    case EXP: BACK(more_a, ga, y[r]); break;
    case EXPM1: BACK(more_a, ga, y[r] + 1.0); break;
    case LOG: BACK(more_a, ga, 1.0 / a); break;
    case LOG1P: BACK(more_a, ga, 1.0 / (1.0 + a)); break;
    case SQRT: BACK(more_a, ga, FN(slope_of_root)(y[r])); break;
    case ABSOLUTE: BACK(more_a, ga, a < 0.0 ? -1.0 : 1.0); break;
    case TANH: BACK(more_a, ga, 1.0 - y[r] * y[r]); break;
    case SIN: BACK(more_a, ga, cos(a)); break;
    case COS: BACK(more_a, ga, -sin(a)); break;
    default: BACK(more_a, ga, 1.0 / (1.0 + a * a)); break;
    }
}

/* Loss, shape (m,), and, if they are wanted, the slopes of the target: a plane of BLOCK for each
 * parameter of the law, in its logarithm where it is searched so. */
static void FN(taped)(
    const Law *law, const double *th, const double *const *columns, size_t m, int log_target,
    int slopes, double *restrict value, double *planes, double *room)
{
    double single[MOST_STEPS], moves[MOST_STEPS][MOST_PARAMETERS];
    const double *row[MOST_STEPS];
    double *back[MOST_STEPS];
    int begun[MOST_STEPS], parameters = law->parameters, last = law->steps - 1;
    for (int i = 0; i < law->scalars; i++) {
        const Step *s = law->step + i;
        double other = 0.0, own = 0.0;
        row[i] = NULL;
        if (s->kind == PARAMETER) {
            single[i] = th[s->a];
        } else if (s->kind == CONSTANT) {
            single[i] = s->constant;
        } else if (s->kind < NEGATIVE) {
            single[i] = FN(of_two)(s->kind, single[s->a], single[s->b]);
            own = FN(slope_of)(s->kind, single[s->a], single[s->b], single[i], &other);
        } else {
            single[i] = FN(of_one)(s->kind, single[s->a]);
            own = FN(slope_of)(s->kind, single[s->a], 0.0, single[i], &other);
        }
        for (int k = 0; slopes && s->varies && k < parameters; k++) {
            if (s->kind == PARAMETER)
                moves[i][k] = k == s->a ? (law->in_log[k] ? th[k] : 1.0) : 0.0;
            else
                moves[i][k] = (law->step[s->a].varies ? own * moves[s->a][k] : 0.0) +
                              (s->kind < NEGATIVE && law->step[s->b].varies
                                   ? other * moves[s->b][k]
                                   : 0.0);
        }
    }
    for (int i = law->scalars; i <= last; i++) {
        const Step *s = law->step + i;
        if (s->kind == COLUMN) {
            row[i] = columns[s->a];
            continue;
        }
        double *y = i == last ? value : room + (size_t)i * BLOCK;
        int two = s->kind < NEGATIVE;
        FN(forward)(
            s->kind, row[s->a], row[s->a] ? 0.0 : single[s->a], two ? row[s->b] : NULL,
            two && !row[s->b] ? single[s->b] : 0.0, m, y);
        row[i] = y;
    }
    if (!slopes)
        return;
    for (int i = 0; i <= last; i++) {
        back[i] = law->step[i].varies ? room + (size_t)(law->steps + i) * BLOCK : NULL;
        begun[i] = 0;
    }
    for (size_t r = 0; r < m; r++)
        back[last][r] = log_target ? 1.0 / value[r] : 1.0;
    for (int i = last; i >= law->scalars; i--) {
        const Step *s = law->step + i;
        if (!s->varies)
            continue;
        int two = s->kind < NEGATIVE, same = two && s->a == s->b;
        double *ga = back[s->a], *gb = two ? back[s->b] : NULL;
        if (same) {
            /* Both operands are one step: first the one, then the other. */
            FN(backward)(
                s->kind, back[i], row[i], row[s->a], 0.0, row[s->b], 0.0, m, ga, begun[s->a], NULL, 0);
            FN(backward)(
                s->kind, back[i], row[i], row[s->a], 0.0, row[s->b], 0.0, m, NULL, 0, gb, 1);
        } else {
            FN(backward)(
                s->kind, back[i], row[i], row[s->a], row[s->a] ? 0.0 : single[s->a],
                two ? row[s->b] : NULL, two && !row[s->b] ? single[s->b] : 0.0, m, ga, begun[s->a],
                gb, two ? begun[s->b] : 0);
        }
        begun[s->a] = 1;
        if (two)
            begun[s->b] = 1;
    }
    for (int k = 0; k < parameters; k++) {
        double *restrict out = planes + (size_t)k * BLOCK;
        int more = 0;
        for (int i = 0; i < law->scalars; i++) {
            if (!law->step[i].varies || !begun[i] || moves[i][k] == 0.0)
                continue;
            const double *restrict g = back[i];
            double by = moves[i][k];
            if (more)
                for (size_t r = 0; r < m; r++)
                    out[r] += by * g[r];
            else
                for (size_t r = 0; r < m; r++)
                    out[r] = by * g[r];
            more = 1;
        }
        if (!more)
            memset(out, 0, m * sizeof *out);
    }
}
