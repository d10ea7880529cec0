/* What the fits spend their time on, compiled: rows of a law, their sums, and small systems.
 *
 * Every function here stands beside NumPy code that does the same, and agrees with it to rounding
 * (tests/contracts/test_native.py); where this module is not built, that code does the work. A
 * problem's sums are its own and its rows are added up in one order, so that its bits do not depend
 * on the batch it stands in.
 *
 * The rows are compiled for three instruction sets, and the best one the processor has is taken.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define INLINE static inline
#define PREFETCH(address) ((void)(address))
#endif

enum { POWERS, BROKEN, TAPED };
/* As scalefit/laws/tape.py numbers them: from NEGATIVE on with one operand, from ADD on with two. */
enum { PARAMETER, CONSTANT, COLUMN, ADD, SUBTRACT, MULTIPLY, DIVIDE, MINIMUM, MAXIMUM, POWER,
       NEGATIVE, EXP, EXPM1, LOG, LOG1P, SQRT, ABSOLUTE, TANH, SIN, COS, ARCTAN };
enum { HUBER, STUDENT, SQUARES };
#define BEGIN (-1.0) /* a state that none is */
enum {
    LANES = 8,             /* doubles of the widest vector */
    BLOCK = 256,           /* rows taken together: a dozen planes of them fit a level-1 cache */
    GROUPED = 64,          /* blocks whose sums are added up before the whole: less rounding */
    SUMMED = 16384,        /* rows of one partial sum, likewise */
    PACKED = 1 << 16,      /* most rows of a problem whose rows without weight are left out */
    PATIENCE = 1 << 24,    /* rows after which signals are asked for: a tenth of a second */
    MOST_PARAMETERS = 32,
    MOST_INPUTS = 8,
    MOST_BREAKS = 10,
    MOST_COLUMNS = 16,
    MOST_STEPS = 96,
};

/* Doubles from one column to the next where a block stands below a triangle of p + 1 columns. */
#define TALL(p) (((size_t)(p) + BLOCK + LANES) / LANES * LANES)

typedef struct {
    int amplitude, powers, input[MOST_PARAMETERS], exponent[MOST_PARAMETERS];
} Term;

typedef struct {
    int change, place, width;
} Break;

typedef struct {
    int kind, a, b;
    int varies; /* with a parameter */
    double constant;
} Step;

typedef struct {
    int kind, parameters, free, inputs;
    int floors, floor[MOST_PARAMETERS];
    int slot[MOST_PARAMETERS]; /* number of each free parameter, -1 of a fixed one */
    int terms;
    Term term[MOST_PARAMETERS];
    int amplitude, slope, breaks;
    Break broken[MOST_BREAKS];
    int steps, scalars; /* those that need no row come first */
    Step step[MOST_STEPS];
    int in_log[MOST_PARAMETERS]; /* whether each parameter is searched in its logarithm */
} Law;

typedef struct {
    int kind;
    double setting;  /* how much dearer above the curve; degrees of freedom */
    double least;    /* threshold, or scale of Student's t, that the state never falls below */
    double constant; /* of its likelihood, for each row */
} Goal;

typedef struct {
    Law law;
    Goal goal;
    int log_target;
    size_t n;
    const double *logs[MOST_INPUTS], *target;
    int padded; /* whether whole vectors of rows can be read */
} Task;

/* Where the rows of each problem begin, target first: all may share them, or each has its own. */
typedef struct {
    const double *first[MOST_INPUTS + 1];
    size_t apart[MOST_INPUTS + 1];
    Py_ssize_t problems; /* that have rows of their own; 0 where all share them */
} Stack;

typedef struct {
    double value, size, state, *gradient, *sharp, *safe;
} Standing;

typedef struct {
    double *planes, *tail, *value, *residual, *weight, *psi, *sharp, *safe, *ones, *sums;
    double *steps; /* two planes of BLOCK for each */
    double *flat;
    double *packed; /* a row of it for each array of a task and one for weights, if it is small */
    size_t packs;   /* doubles of each of them */
    int *chosen;
} Work;

typedef struct {
    double *gradient, *safe, *sharp;
} Sums;

typedef struct {
    const double *row;
    int flat; /* whether a few stand for all: see weights_of in rows.h */
} Weights;

typedef struct {
    int columns, positive, floored;
    size_t count, stride, square;
    double firm;
} Sets;

typedef struct {
    double cold_damping, warm_damping, most_damping, longest, light, stage, spared, firm, due;
    double turns, apart;
} Rules; /* the constants of solver.py and systems.py, in the order in which it hands them over */

enum { RULES = sizeof(Rules) / sizeof(double) };

typedef struct {
    const Task *task;
    Task *some; /* room for the same without the rows that weigh nothing */
    const Rules *rules;
    const Work *work;
    const double *low, *high, *fixed; /* (p,), (p,), (P,) */
    size_t corners[2]; /* how far apart those of problems stand */
    const unsigned char *log, *affine; /* (p,) */
    int p, any_affine, number[MOST_PARAMETERS]; /* of each free parameter in theta */
    int cold;
    double tolerance;
    long limit;
    size_t *looked; /* rows looked at since signals were asked for */
    int *stopped;   /* whether one of them, such as Ctrl-C, ends the work */
} Search;

/* Whether a signal asks for an end; the error is then set. */
static int interrupted(void)
{
    PyGILState_STATE held = PyGILState_Ensure();
    int stop = PyErr_CheckSignals() < 0;
    PyGILState_Release(held);
    return stop;
}

typedef struct {
    double gradient[MOST_PARAMETERS];
    double sharp[MOST_PARAMETERS * MOST_PARAMETERS], safe[MOST_PARAMETERS * MOST_PARAMETERS];
} Room;

typedef struct {
    double value, state;
    int converged;
    long steps;
} End;

typedef struct {
    const char *name;
    End (*search)(const Search *, double *, const double *);
    void (*polish)(const Search *, double *, const double *, double *);
    int (*least_in_form)(
        const double *, const double *, const double *, const double *, int, long, double *);
    void (*assess)(
        const Task *, const Work *, const double *, const double *, double, Standing *);
    void (*screen)(const Sets *, const double *, const int64_t *, double *, double *);
    double (*settle)(const Goal *, size_t, const double *, const double *, double);
    void (*products)(const double *, size_t, size_t, const double *, size_t, double *);
} Instructions;

#define GLUE(name, set) name##_##set
#define NAMED(name, set) GLUE(name, set)
#define FN(name) NAMED(name, SET)

#define SET plain
#define PACK 16
#include "elementary.h"
#include "products.h"
#include "tape.h"
#include "rows.h"
#include "systems.h"
#include "box.h"
#include "search.h"
#include "polish.h"
#undef SET
#undef PACK

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define MANY_SETS
#define SET avx2
#define PACK 32
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "elementary.h"
#include "products.h"
#include "tape.h"
#include "rows.h"
#include "systems.h"
#include "box.h"
#include "search.h"
#include "polish.h"
#pragma GCC pop_options
#undef SET
#undef PACK
#define SET avx512
#define PACK 64
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#include "elementary.h"
#include "products.h"
#include "tape.h"
#include "rows.h"
#include "systems.h"
#include "box.h"
#include "search.h"
#include "polish.h"
#pragma GCC pop_options
#undef SET
#undef PACK
#endif

static const Instructions sets[] = {
#ifdef MANY_SETS
    {"AVX-512", search_one_avx512, polish_one_avx512, least_in_form_avx512, assess_rows_avx512, screen_avx512,
     settle_rows_avx512, products_avx512},
    {"AVX2", search_one_avx2, polish_one_avx2, least_in_form_avx2, assess_rows_avx2, screen_avx2,
     settle_rows_avx2, products_avx2},
#endif
    {"C", search_one_plain, polish_one_plain, least_in_form_plain, assess_rows_plain, screen_plain,
     settle_rows_plain, products_plain},
};

enum { SETS = sizeof sets / sizeof *sets };

/* The first of the sets that the processor has. */
static int first_known(void)
{
#ifdef MANY_SETS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
                   ? 0
                   : 1;
#endif
    return SETS - 1;
}

static int chosen = -1; /* by `restrict_to`, for tests of every set */

static const Instructions *instructions(void)
{
    return sets + (chosen < 0 ? first_known() : chosen);
}

/* ---- What Python hands over: checked here, so that nothing behind can leave an array. ---- */

static int refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return 0;
}

static int numbers_of(
    PyObject *object, Py_buffer *view, const char *kinds, Py_ssize_t count, int writable)
{
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) < 0)
        return 0;
    int known = view->format && view->format[0] && !view->format[1] &&
                strchr(kinds, view->format[0]) && (view->itemsize == 8 || *kinds == '?');
    if (known && (count < 0 || view->len == count * view->itemsize))
        return 1;
    PyBuffer_Release(view);
    return refuse("an array of another type or size was expected");
}

#define DOUBLES "d"
#define WHOLE "lq"
#define BOOLS "?"
#define UNSIGNED "LQ"

/* Gives back what was looked at; None, or no object where the work was not done. */
static PyObject *ended(Py_buffer *views, int count, int done)
{
    for (int i = 0; i < count; i++)
        if (views[i].obj)
            PyBuffer_Release(views + i);
    if (!done)
        return NULL;
    Py_RETURN_NONE;
}

/* Reads whole numbers, each within its range, from the description of a law. */
typedef struct {
    const int64_t *next, *end;
    int sound;
} Reader;

static int next_number(Reader *reader, int least, int most)
{
    if (reader->next == reader->end || *reader->next < least || *reader->next > most) {
        reader->sound = 0;
        return least > 0 ? least : 0;
    }
    return (int)*reader->next++;
}

/* The steps of a formula. */
static void read_steps(Reader *reader, Law *law)
{
    for (int k = 0; k < law->parameters; k++)
        law->in_log[k] = next_number(reader, 0, 1);
    law->steps = next_number(reader, 1, MOST_STEPS);
    law->scalars = next_number(reader, 0, law->steps - 1);
    for (int i = 0; i < law->steps && reader->sound; i++) {
        Step *step = law->step + i;
        step->kind = next_number(reader, PARAMETER, ARCTAN);
        int scalar = i < law->scalars;
        if (step->kind == CONSTANT) {
            if (reader->next == reader->end) {
                reader->sound = 0;
                return;
            }
            memcpy(&step->constant, reader->next++, sizeof step->constant);
            next_number(reader, 0, 0);
            reader->sound &= scalar;
            continue;
        }
        int leaf = step->kind < ADD, two = step->kind >= ADD && step->kind < NEGATIVE;
        int most = step->kind == PARAMETER ? law->parameters - 1
                   : step->kind == COLUMN  ? law->inputs - 1
                                           : i - 1;
        if (most < 0) {
            reader->sound = 0;
            return;
        }
        step->a = next_number(reader, 0, most);
        step->b = next_number(reader, 0, two ? most : 0);
        if (leaf) {
            step->varies = step->kind == PARAMETER;
            reader->sound &= scalar == (step->kind == PARAMETER);
            continue;
        }
        step->varies = law->step[step->a].varies || (two && law->step[step->b].varies);
        int rows = step->a >= law->scalars || (two && step->b >= law->scalars);
        reader->sound &= rows == !scalar;
    }
    reader->sound &= law->step[law->steps - 1].kind >= ADD && law->step[law->steps - 1].varies;
}

/* As Problem.compiled gives it. */
static int read_law(const Py_buffer *view, Law *law)
{
    Reader reader = {view->buf, (const int64_t *)view->buf + view->len / 8, 1};
    memset(law, 0, sizeof *law);
    law->kind = next_number(&reader, POWERS, TAPED);
    law->parameters = next_number(&reader, 1, MOST_PARAMETERS);
    law->free = next_number(&reader, 1, law->parameters);
    law->inputs = next_number(&reader, 1, MOST_INPUTS);
    int last = law->parameters - 1, seen[MOST_PARAMETERS] = {0};
    for (int i = 0; i <= last; i++) {
        law->slot[i] = next_number(&reader, -1, law->free - 1);
        if (law->slot[i] >= 0)
            seen[law->slot[i]]++;
    }
    for (int i = 0; i < law->free; i++)
        reader.sound &= seen[i] == 1;
    if (law->kind != TAPED) {
        law->floors = next_number(&reader, law->kind == BROKEN, MOST_PARAMETERS);
        for (int i = 0; i < law->floors; i++)
            law->floor[i] = next_number(&reader, 0, last);
    }
    if (law->kind == TAPED) {
        read_steps(&reader, law);
    } else if (law->kind == POWERS) {
        law->terms = next_number(&reader, 1, MOST_PARAMETERS);
        for (int t = 0; t < law->terms; t++) {
            Term *term = law->term + t;
            term->amplitude = next_number(&reader, 0, last);
            term->powers = next_number(&reader, 1, MOST_PARAMETERS);
            for (int i = 0; i < term->powers; i++) {
                term->input[i] = next_number(&reader, 0, law->inputs - 1);
                term->exponent[i] = next_number(&reader, 0, last);
            }
        }
    } else {
        law->amplitude = next_number(&reader, 0, last);
        law->slope = next_number(&reader, 0, last);
        law->breaks = next_number(&reader, 1, MOST_BREAKS);
        for (int i = 0; i < law->breaks; i++) {
            law->broken[i].change = next_number(&reader, 0, last);
            law->broken[i].place = next_number(&reader, 0, last);
            law->broken[i].width = next_number(&reader, 0, last);
        }
    }
    return reader.sound && reader.next == reader.end ? 1 : refuse("no description of a law");
}

static int allot(Work *work, const Task *task)
{
    size_t p = (size_t)task->law.free, sums = 2 * (p + 2 * p * p);
    size_t rows = (task->n + BLOCK - 1) / BLOCK * BLOCK;
    size_t planes = (size_t)task->law.parameters + 1, tail = (size_t)task->law.inputs + 1;
    work->packs = task->n <= PACKED ? rows : 0;
    size_t flat = task->n > BLOCK ? SUMMED : 0;
    size_t steps = 2 * (size_t)task->law.steps * BLOCK;
    size_t all = steps + (planes + tail + 6) * BLOCK + rows + sums + flat + (tail + 2) * work->packs;
    double *memory = calloc(all + LANES, sizeof *memory);
    if (!memory)
        return 0;
    work->planes = memory, memory += planes * BLOCK;
    work->tail = memory, memory += tail * BLOCK;
    work->weight = memory, memory += BLOCK;
    work->value = memory, memory += BLOCK;
    work->psi = memory, memory += BLOCK;
    work->sharp = memory, memory += BLOCK;
    work->safe = memory, memory += BLOCK;
    work->ones = memory, memory += BLOCK;
    work->residual = memory, memory += rows;
    work->sums = memory, memory += sums;
    work->flat = memory, memory += flat;
    work->steps = memory, memory += steps;
    work->packed = memory, memory += (tail + 1) * work->packs;
    work->chosen = (int *)memory;
    for (int r = 0; r < BLOCK; r++)
        work->ones[r] = 1.0;
    return 1;
}

/* Turns to the rows of problem b; the last, short block of them is copied. */
static void turn_to(const Stack *stack, size_t b, Task *task, const Work *work)
{
    if (b > 0 && !stack->problems)
        return;
    size_t begin = (task->n - 1) / BLOCK * BLOCK;
    for (int i = 0; i <= task->law.inputs; i++) {
        const double *from = stack->first[i] + b * stack->apart[i];
        for (size_t r = 0; r < BLOCK; r++)
            work->tail[(size_t)i * BLOCK + r] = from[begin + r < task->n ? begin + r : task->n - 1];
        if (i == 0)
            task->target = from;
        else
            task->logs[i - 1] = from;
    }
}

enum { LAW, SETTINGS, TARGET, LOGS, GIVEN = LOGS + MOST_INPUTS }; /* views of what is given */
enum { TASK_ARGUMENTS = 6 };
#define ARGUMENT(view) args[TASK_ARGUMENTS + (view) - GIVEN]

/* Rows, (n,) or (B, n), as column i of a stack. */
static int read_rows(PyObject *object, Py_buffer *view, size_t n, int i, Stack *stack)
{
    if (!numbers_of(object, view, DOUBLES, -1, 0))
        return 0;
    int own = view->ndim == 2;
    if (view->ndim < 1 || view->ndim > 2 || (n && (size_t)view->shape[own] != n) ||
        (own && (view->shape[0] < 1 || (stack->problems && view->shape[0] != stack->problems))))
        return refuse("rows of one problem or of every problem were expected");
    stack->first[i] = view->buf;
    stack->apart[i] = own ? (size_t)view->shape[1] : 0;
    if (own)
        stack->problems = view->shape[0];
    return 1;
}

/* A task from its first arguments: law, goal, settings, log_target, logs, target. */
static int read_task(PyObject *const *args, Py_buffer *view, Task *task, Stack *stack)
{
    memset(task, 0, sizeof *task);
    memset(stack, 0, sizeof *stack);
    if (!numbers_of(args[0], view + LAW, WHOLE, -1, 0) || !read_law(view + LAW, &task->law) ||
        !numbers_of(args[2], view + SETTINGS, DOUBLES, 3, 0))
        return 0;
    long goal = PyLong_AsLong(args[1]);
    task->log_target = PyObject_IsTrue(args[3]);
    if (PyErr_Occurred())
        return 0;
    if (goal < HUBER || goal > SQUARES)
        return refuse("no such objective");
    const double *settings = view[SETTINGS].buf;
    task->goal = (Goal){(int)goal, settings[0], settings[1], settings[2]};
    if (!PyTuple_Check(args[4]) || PyTuple_Size(args[4]) != task->law.inputs)
        return refuse("a tuple of inputs was expected");
    if (!read_rows(args[5], view + TARGET, 0, 0, stack))
        return 0;
    task->n = (size_t)view[TARGET].shape[view[TARGET].ndim - 1];
    if (task->n < 1)
        return refuse("rows were expected");
    for (int i = 0; i < task->law.inputs; i++)
        if (!read_rows(PyTuple_GetItem(args[4], i), view + LOGS + i, task->n, i + 1, stack))
            return 0;
    return 1;
}

/* Whether a stack is one for so many problems. */
static int stacked_for(const Stack *stack, Py_ssize_t batch)
{
    return !stack->problems || stack->problems == batch
               ? 1
               : refuse("rows of one problem or of every problem were expected");
}

/* So many numbers of one problem that all share, or of every problem: how far apart they stand. */
static int read_each(PyObject *object, Py_buffer *view, size_t n, Py_ssize_t batch, size_t *apart)
{
    if (!numbers_of(object, view, DOUBLES, -1, 0))
        return 0;
    *apart = view->len == (Py_ssize_t)n * 8 ? 0 : n;
    return !*apart || view->len == batch * (Py_ssize_t)n * 8
               ? 1
               : refuse("numbers of one problem or of every problem were expected");
}

PyDoc_STRVAR(
    assess_doc,
    "assess(law, goal, settings, log_target, logs, target, theta, weight, state, value, size,\n"
    "    settled, gradient, sharp, safe)\n\n"
    "The objective of a batch and its sums over rows, as standing.assess; the last six are filled,\n"
    "or the first three of them where the last three are None.");

static PyObject *assess(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { THETA = GIVEN, WEIGHT, STATE, VALUE, SIZE, SETTLED, GRADIENT, SHARP, SAFE, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    Task task;
    Stack stack;
    Work work;
    size_t apart;
    int done = 0;
    memset(view, 0, sizeof view);
    if (nargs != TASK_ARGUMENTS + VIEWS - GIVEN)
        return refuse("15 arguments were expected"), NULL;
    int slopes = ARGUMENT(GRADIENT) != Py_None;
    if (!read_task(args, view, &task, &stack))
        goto end;
    if (!numbers_of(ARGUMENT(STATE), view + STATE, DOUBLES, -1, 0))
        goto end;
    Py_ssize_t batch = view[STATE].len / 8, p = task.law.free, parameters = task.law.parameters;
    if (!stacked_for(&stack, batch) ||
        !numbers_of(ARGUMENT(THETA), view + THETA, DOUBLES, batch * parameters, 0) ||
        !read_each(ARGUMENT(WEIGHT), view + WEIGHT, task.n, batch, &apart) ||
        !numbers_of(ARGUMENT(VALUE), view + VALUE, DOUBLES, batch, 1) ||
        !numbers_of(ARGUMENT(SIZE), view + SIZE, DOUBLES, batch, 1) ||
        !numbers_of(ARGUMENT(SETTLED), view + SETTLED, DOUBLES, batch, 1))
        goto end;
    if (slopes && (!numbers_of(ARGUMENT(GRADIENT), view + GRADIENT, DOUBLES, batch * p, 1) ||
                   !numbers_of(ARGUMENT(SHARP), view + SHARP, DOUBLES, batch * p * p, 1) ||
                   !numbers_of(ARGUMENT(SAFE), view + SAFE, DOUBLES, batch * p * p, 1)))
        goto end;
    const double *theta = view[THETA].buf, *weight = view[WEIGHT].buf, *state = view[STATE].buf;
    double *value = view[VALUE].buf, *size = view[SIZE].buf, *settled = view[SETTLED].buf;
    double *gradient = view[GRADIENT].buf, *sharp = view[SHARP].buf, *safe = view[SAFE].buf;
    int room;
    Py_BEGIN_ALLOW_THREADS
    room = allot(&work, &task);
    for (Py_ssize_t b = 0; room && b < batch; b++) {
        Standing found = {0};
        turn_to(&stack, (size_t)b, &task, &work);
        if (slopes)
            found = (Standing){0, 0, 0, gradient + b * p, sharp + b * p * p, safe + b * p * p};
        instructions()->assess(
            &task, &work, theta + b * parameters, weight + (size_t)b * apart, state[b], &found);
        value[b] = found.value, size[b] = found.size, settled[b] = found.state;
    }
    if (room)
        free(work.planes);
    Py_END_ALLOW_THREADS
    if (!room) {
        PyErr_NoMemory();
        goto end;
    }
    done = 1;
end:
    return ended(view, VIEWS, done);
}

/* Views of what a search is given beyond its task. */
enum { RULED = GIVEN, LOW, HIGH, FIXED, LOGGED, AFFINE, WEIGHT, SEARCHED };

/* The rules, the box and the weights of `batch` searches: of each, or of one that all share. */
static int read_search(
    PyObject *const *args, Py_buffer *view, const Task *task, const Stack *stack, Py_ssize_t batch,
    size_t *apart, Search *search)
{
    Py_ssize_t p = task->law.free;
    size_t *low = search->corners, *high = search->corners + 1;
    if (!stacked_for(stack, batch) ||
        !numbers_of(ARGUMENT(RULED), view + RULED, DOUBLES, RULES, 0) ||
        !read_each(ARGUMENT(LOW), view + LOW, (size_t)p, batch, low) ||
        !read_each(ARGUMENT(HIGH), view + HIGH, (size_t)p, batch, high) ||
        !numbers_of(ARGUMENT(FIXED), view + FIXED, DOUBLES, task->law.parameters, 0) ||
        !numbers_of(ARGUMENT(LOGGED), view + LOGGED, BOOLS, p, 0) ||
        !numbers_of(ARGUMENT(AFFINE), view + AFFINE, BOOLS, p, 0) ||
        !read_each(ARGUMENT(WEIGHT), view + WEIGHT, task->n, batch, apart))
        return 0;
    search->task = task;
    search->rules = view[RULED].buf;
    search->low = view[LOW].buf, search->high = view[HIGH].buf, search->fixed = view[FIXED].buf;
    search->log = view[LOGGED].buf, search->affine = view[AFFINE].buf, search->p = (int)p;
    for (int i = 0; i < task->law.parameters; i++)
        if (task->law.slot[i] >= 0)
            search->number[task->law.slot[i]] = i;
    for (int j = 0; j < p; j++)
        search->any_affine |= search->affine[j];
    return 1;
}

PyDoc_STRVAR(
    solve_doc,
    "solve(law, goal, settings, log_target, logs, target, rules, low, high, fixed, log, affine,\n"
    "    weight, cold, tolerance, limit, u, value, state, converged, steps)\n\n"
    "As solver.solve; u is where each search begins, and it and the last four are filled.");

static PyObject *solve(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { COLD = SEARCHED, TOLERANCE, LIMIT, U, VALUE, STATE, CONVERGED, STEPS, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    Task task;
    Stack stack;
    Work work;
    size_t apart, looked = 0;
    int done = 0, stopped = 0;
    memset(view, 0, sizeof view);
    if (nargs != TASK_ARGUMENTS + VIEWS - GIVEN)
        return refuse("21 arguments were expected"), NULL;
    if (!read_task(args, view, &task, &stack))
        goto end;
    Task some = task;
    Search search = {
        .some = &some, .work = &work, .cold = PyObject_IsTrue(ARGUMENT(COLD)),
        .tolerance = PyFloat_AsDouble(ARGUMENT(TOLERANCE)),
        .limit = PyLong_AsLong(ARGUMENT(LIMIT)), .looked = &looked, .stopped = &stopped,
    };
    if (PyErr_Occurred() || !numbers_of(ARGUMENT(VALUE), view + VALUE, DOUBLES, -1, 1))
        goto end;
    Py_ssize_t batch = view[VALUE].len / 8, p = task.law.free;
    if (!read_search(args, view, &task, &stack, batch, &apart, &search) ||
        !numbers_of(ARGUMENT(U), view + U, DOUBLES, batch * p, 1) ||
        !numbers_of(ARGUMENT(STATE), view + STATE, DOUBLES, batch, 1) ||
        !numbers_of(ARGUMENT(CONVERGED), view + CONVERGED, BOOLS, batch, 1) ||
        !numbers_of(ARGUMENT(STEPS), view + STEPS, WHOLE, batch, 1))
        goto end;
    const double *weight = view[WEIGHT].buf, *low = view[LOW].buf, *high = view[HIGH].buf;
    double *u = view[U].buf, *value = view[VALUE].buf, *state = view[STATE].buf;
    unsigned char *converged = view[CONVERGED].buf;
    int64_t *steps = view[STEPS].buf;
    int room;
    Py_BEGIN_ALLOW_THREADS
    room = allot(&work, &task);
    for (Py_ssize_t b = 0; room && b < batch && !stopped; b++) {
        turn_to(&stack, (size_t)b, &task, &work);
        search.low = low + (size_t)b * search.corners[0];
        search.high = high + (size_t)b * search.corners[1];
        End end = instructions()->search(&search, u + b * p, weight + (size_t)b * apart);
        value[b] = end.value, state[b] = end.state;
        converged[b] = (unsigned char)end.converged, steps[b] = end.steps;
    }
    if (room)
        free(work.planes);
    Py_END_ALLOW_THREADS
    if (!room)
        PyErr_NoMemory();
    done = room && !stopped;
end:
    return ended(view, VIEWS, done);
}

PyDoc_STRVAR(
    polish_doc,
    "polish(law, goal, settings, log_target, logs, target, rules, low, high, fixed, log, affine,\n"
    "    weight, rounds, u)\n\n"
    "As solver.polish; u, where it begins, is replaced.");

static PyObject *polish(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { ROUNDS = SEARCHED, U, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    Task task;
    Stack stack;
    Work work;
    size_t apart, looked = 0;
    int done = 0, stopped = 0;
    memset(view, 0, sizeof view);
    if (nargs != TASK_ARGUMENTS + VIEWS - GIVEN)
        return refuse("15 arguments were expected"), NULL;
    if (!read_task(args, view, &task, &stack))
        goto end;
    Search search = {.work = &work, .limit = PyLong_AsLong(ARGUMENT(ROUNDS)), .looked = &looked,
                     .stopped = &stopped};
    if (PyErr_Occurred() || !read_search(args, view, &task, &stack, 1, &apart, &search) ||
        !numbers_of(ARGUMENT(U), view + U, DOUBLES, search.p, 1))
        goto end;
    double *tall;
    int room;
    Py_BEGIN_ALLOW_THREADS
    tall = malloc(((size_t)search.p + 1) * TALL(search.p) * sizeof *tall);
    room = tall && allot(&work, &task);
    if (room) {
        turn_to(&stack, 0, &task, &work);
        instructions()->polish(&search, view[U].buf, view[WEIGHT].buf, tall);
        free(work.planes);
    }
    free(tall);
    Py_END_ALLOW_THREADS
    if (!room)
        PyErr_NoMemory();
    done = room && !stopped;
end:
    return ended(view, VIEWS, done);
}

PyDoc_STRVAR(
    distinct_doc,
    "distinct(curves, near, agreeing, chosen)\n\n"
    "Fills chosen with the numbers of the first rows of curves, (K, n), of which no more than\n"
    "`agreeing` lie everywhere nearer to each other than `near`; gives back how many it found.");

static PyObject *distinct(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs != 4)
        return refuse("4 arguments were expected"), NULL;
    Py_buffer view[2];
    memset(view, 0, sizeof view);
    double near = PyFloat_AsDouble(args[1]);
    long agreeing = PyLong_AsLong(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if (!numbers_of(args[0], view, DOUBLES, -1, 0) ||
        !numbers_of(args[3], view + 1, WHOLE, -1, 1))
        return ended(view, 2, 0);
    Py_ssize_t all = view[0].ndim == 2 ? view[0].shape[0] : -1, most = view[1].len / 8, found = 0;
    if (all < 0) {
        refuse("rows were expected");
        return ended(view, 2, 0);
    }
    size_t n = (size_t)view[0].shape[1];
    const double *curve = view[0].buf;
    int64_t *chosen = view[1].buf;
    long *company = calloc((size_t)all + 1, sizeof *company);
    if (!company) {
        PyErr_NoMemory();
        return ended(view, 2, 0);
    }
    for (Py_ssize_t k = 0; k < all && found < most; k++) {
        if (company[k] >= agreeing)
            continue;
        chosen[found++] = k;
        for (Py_ssize_t j = k + 1; j < all; j++) {
            const double *a = curve + (size_t)k * n, *b = curve + (size_t)j * n;
            size_t r = 0;
            while (company[j] < agreeing && r < n && fabs(a[r] - b[r]) <= near)
                r++;
            company[j] += r == n;
        }
    }
    free(company);
    PyObject *none = ended(view, 2, 1);
    Py_XDECREF(none);
    return PyLong_FromSsize_t(found);
}

PyDoc_STRVAR(
    settle_doc,
    "settle(residual, weight, nu, least, state)\n\n"
    "The scales of Student's t at their best, near those in `state`, which are replaced.");

static PyObject *settle(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { RESIDUAL, WEIGHT, STATE, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    size_t apart;
    int done = 0;
    memset(view, 0, sizeof view);
    if (nargs != 5)
        return refuse("5 arguments were expected"), NULL;
    Goal goal = {STUDENT, PyFloat_AsDouble(args[2]), PyFloat_AsDouble(args[3]), 0.0};
    if (PyErr_Occurred())
        return NULL;
    if (!numbers_of(args[4], view + STATE, DOUBLES, -1, 1) ||
        !numbers_of(args[0], view + RESIDUAL, DOUBLES, -1, 0))
        goto end;
    Py_ssize_t batch = view[STATE].len / 8, n = batch ? view[RESIDUAL].len / 8 / batch : 1;
    if (n < 1 || view[RESIDUAL].len != batch * n * 8) {
        refuse("residuals of every problem were expected");
        goto end;
    }
    if (!read_each(args[1], view + WEIGHT, (size_t)n, batch, &apart))
        goto end;
    const double *residual = view[RESIDUAL].buf, *weight = view[WEIGHT].buf;
    double *state = view[STATE].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t b = 0; b < batch; b++)
        state[b] = instructions()->settle(
            &goal, (size_t)n, weight + (size_t)b * apart, residual + b * n, state[b]);
    Py_END_ALLOW_THREADS
    done = 1;
end:
    return ended(view, VIEWS, done);
}

PyDoc_STRVAR(
    least_in_box_doc,
    "least_in_box(system, right, least, most, turns, x, sound)\n\n"
    "As systems.least_in_box; the last two are filled.");

static PyObject *least_in_box(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { SYSTEM, RIGHT, LEAST, MOST, TURNS, X, SOUND, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    int done = 0;
    memset(view, 0, sizeof view);
    if (nargs != VIEWS)
        return refuse("7 arguments were expected"), NULL;
    long turns = PyLong_AsLong(args[TURNS]);
    if (PyErr_Occurred())
        return NULL;
    if (!numbers_of(args[SOUND], view + SOUND, BOOLS, -1, 1) ||
        !numbers_of(args[RIGHT], view + RIGHT, DOUBLES, -1, 0))
        goto end;
    Py_ssize_t batch = view[SOUND].len, p = batch ? view[RIGHT].len / 8 / batch : 1;
    if (p < 1 || p > MOST_PARAMETERS || view[RIGHT].len != batch * p * 8) {
        refuse("right sides of every system were expected");
        goto end;
    }
    if (!numbers_of(args[SYSTEM], view + SYSTEM, DOUBLES, batch * p * p, 0) ||
        !numbers_of(args[LEAST], view + LEAST, DOUBLES, batch * p, 0) ||
        !numbers_of(args[MOST], view + MOST, DOUBLES, batch * p, 0) ||
        !numbers_of(args[X], view + X, DOUBLES, batch * p, 1))
        goto end;
    const double *system = view[SYSTEM].buf, *right = view[RIGHT].buf;
    const double *least = view[LEAST].buf, *most = view[MOST].buf;
    double *x = view[X].buf;
    unsigned char *sound = view[SOUND].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t b = 0; b < batch; b++)
        sound[b] = (unsigned char)instructions()->least_in_form(
            system + b * p * p, right + b * p, least + b * p, most + b * p, (int)p, turns,
            x + b * p);
    Py_END_ALLOW_THREADS
    done = 1;
end:
    return ended(view, VIEWS, done);
}

PyDoc_STRVAR(
    screen_doc,
    "screen(sums, number, square, firm, columns, positive, floored, left, x)\n\n"
    "As Screen.coefficients, of the sums with the given numbers; `left` and `x`, unless it is\n"
    "None, are filled.");

static PyObject *screen(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { SUMS, NUMBER, LEFT, X, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    Sets sets;
    int done = 0;
    memset(view, 0, sizeof view);
    memset(&sets, 0, sizeof sets);
    if (nargs != 9)
        return refuse("9 arguments were expected"), NULL;
    Py_ssize_t square = PyLong_AsSsize_t(args[2]);
    sets.firm = PyFloat_AsDouble(args[3]);
    long columns = PyLong_AsLong(args[4]);
    sets.positive = PyObject_IsTrue(args[5]), sets.floored = PyObject_IsTrue(args[6]);
    if (PyErr_Occurred())
        goto end;
    if (columns < 1 || columns > MOST_COLUMNS) {
        refuse("as many columns are not for this function");
        goto end;
    }
    sets.columns = (int)columns;
    Py_ssize_t entries = columns * (columns + 1) / 2 + columns;
    if (!numbers_of(args[0], view + SUMS, DOUBLES, -1, 0) || view[SUMS].ndim != 2 ||
        !numbers_of(args[1], view + NUMBER, WHOLE, -1, 0) || view[NUMBER].ndim != 3 ||
        view[NUMBER].shape[1] != entries) {
        if (!PyErr_Occurred())
            refuse("sums and numbers of their entries were expected");
        goto end;
    }
    Py_ssize_t batch = view[SUMS].shape[0], width = view[SUMS].shape[1];
    Py_ssize_t groups = view[NUMBER].shape[0], count = view[NUMBER].shape[2];
    const int64_t *number = view[NUMBER].buf;
    int inside = square >= 0 && square < width && (groups == 1 || groups == batch);
    for (Py_ssize_t i = 0; i < groups * entries * count; i++)
        inside &= number[i] >= 0 && number[i] < width;
    if (!inside) {
        refuse("numbers of sums that there are were expected");
        goto end;
    }
    if (!numbers_of(args[7], view + LEFT, DOUBLES, batch * count, 1) ||
        (args[8] != Py_None && !numbers_of(args[8], view + X, DOUBLES, columns * batch * count, 1)))
        goto end;
    sets.count = (size_t)count, sets.stride = (size_t)(batch * count), sets.square = (size_t)square;
    const double *sums = view[SUMS].buf;
    double *left = view[LEFT].buf, *x = view[X].buf;
    Py_BEGIN_ALLOW_THREADS
    const Instructions *set = instructions();
    for (Py_ssize_t b = 0; b < batch; b++)
        set->screen(
            &sets, sums + b * width, number + (groups == 1 ? 0 : b) * entries * count,
            left + b * count, x ? x + b * count : NULL);
    Py_END_ALLOW_THREADS
    done = 1;
end:
    return ended(view, VIEWS, done);
}

PyDoc_STRVAR(
    products_doc,
    "products(weight, columns, sums)\n\n"
    "Fills sums, shape (B, Q), with weight, (B, n), times columns, (n, Q).");

static PyObject *products(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { WEIGHT, COLUMNS, SUMS, VIEWS };
    (void)module;
    Py_buffer view[VIEWS];
    int done = 0;
    memset(view, 0, sizeof view);
    if (nargs != VIEWS)
        return refuse("3 arguments were expected"), NULL;
    for (int i = 0; i < VIEWS; i++) {
        if (!numbers_of(args[i], view + i, DOUBLES, -1, i == SUMS))
            goto end;
        if (view[i].ndim != 2) {
            refuse("matrices were expected");
            goto end;
        }
    }
    Py_ssize_t sets = view[WEIGHT].shape[0], n = view[WEIGHT].shape[1];
    Py_ssize_t columns = view[COLUMNS].shape[1];
    if (view[COLUMNS].shape[0] != n || view[SUMS].shape[0] != sets ||
        view[SUMS].shape[1] != columns) {
        refuse("matrices that can be multiplied were expected");
        goto end;
    }
    Py_BEGIN_ALLOW_THREADS
    instructions()->products(
        view[WEIGHT].buf, (size_t)sets, (size_t)n, view[COLUMNS].buf, (size_t)columns,
        view[SUMS].buf);
    Py_END_ALLOW_THREADS
    done = 1;
end:
    return ended(view, VIEWS, done);
}

/* The high and low half of a product. */
static uint64_t product_of(uint64_t a, uint64_t b, uint64_t *low)
{
    *low = a * b;
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 Wide;
    return (uint64_t)((Wide)a * b >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t inner = a0 * b1 + (a0 * b0 >> 32), outer = a1 * b0 + (uint32_t)inner;
    return a1 * b1 + (inner >> 32) + (outer >> 32);
#endif
}

/* The four words that Philox4x64-10 makes of a key and a counter. */
static void words_of(const uint64_t *key, uint64_t counter, uint64_t *words)
{
    uint64_t c[4] = {counter, 0, 0, 0}, k0 = key[0], k1 = key[1];
    for (int turn = 0; turn < 10; turn++) {
        uint64_t low0, low1;
        uint64_t high0 = product_of(0xD2E7470EE14C6C93u, c[0], &low0);
        uint64_t high1 = product_of(0xCA5A826395121157u, c[2], &low1);
        c[0] = high1 ^ c[1] ^ k0, c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1, c[3] = low0;
        k0 += 0x9E3779B97F4A7C15u, k1 += 0xBB67AE8584CAA73Bu;
    }
    memcpy(words, c, sizeof c);
}

PyDoc_STRVAR(
    philox_doc,
    "philox(key, first, words)\n\n"
    "Fills words with what Philox4x64-10 makes of a key of two words and of counters from first on\n"
    "(Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3).");

static PyObject *philox(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs != 3)
        return refuse("3 arguments were expected"), NULL;
    Py_buffer view[2];
    memset(view, 0, sizeof view);
    unsigned long long first = PyLong_AsUnsignedLongLong(args[1]);
    if (PyErr_Occurred())
        return NULL;
    if (!numbers_of(args[0], view, UNSIGNED, 2, 0) ||
        !numbers_of(args[2], view + 1, UNSIGNED, -1, 1) || view[1].len % 32) {
        if (!PyErr_Occurred())
            refuse("four words for each counter");
        return ended(view, 2, 0);
    }
    uint64_t *words = view[1].buf;
    for (Py_ssize_t block = 0; block < view[1].len / 32; block++, words += 4)
        words_of(view[0].buf, first + (uint64_t)block, words);
    return ended(view, 2, 1);
}

PyDoc_STRVAR(
    counts_doc,
    "counts(key, first, each, counts)\n\n"
    "Fills each row of counts, of `each` numbers, with how often each of them is drawn in as many\n"
    "draws: of the words that `philox` makes, with as many counters for each row as hold so many.");

static PyObject *counts(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs != 4)
        return refuse("4 arguments were expected"), NULL;
    Py_buffer view[2];
    memset(view, 0, sizeof view);
    unsigned long long first = PyLong_AsUnsignedLongLong(args[1]);
    Py_ssize_t each = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if (!numbers_of(args[0], view, UNSIGNED, 2, 0) ||
        !numbers_of(args[3], view + 1, DOUBLES, -1, 1) || each < 1 || view[1].len % (8 * each)) {
        if (!PyErr_Occurred())
            refuse("as many numbers for each row were expected");
        return ended(view, 2, 0);
    }
    double *row = view[1].buf;
    memset(row, 0, (size_t)view[1].len);
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t left = view[1].len / (8 * each); left > 0; left--, row += each)
        for (Py_ssize_t at = 0; at < each; at += 4) {
            uint64_t words[4], low;
            words_of(view[0].buf, first++, words);
            for (Py_ssize_t k = 0; k < 4 && at + k < each; k++)
                row[product_of(words[k], (uint64_t)each, &low)] += 1.0;
        }
    Py_END_ALLOW_THREADS
    return ended(view, 2, 1);
}

PyDoc_STRVAR(
    instructions_doc,
    "instructions()\n\nNames of the sets of instructions that this processor has, the one in use "
    "first.");

static PyObject *instructions_of(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module, (void)args, (void)nargs;
    int first = first_known(), used = (int)(instructions() - sets);
    PyObject *names = PyTuple_New(SETS - first);
    for (int i = first, at = 1; names && i < SETS; i++) {
        PyObject *name = PyUnicode_FromString(sets[i].name);
        if (!name || PyTuple_SetItem(names, i == used ? 0 : at++, name) < 0) {
            Py_DECREF(names);
            return NULL;
        }
    }
    return names;
}

PyDoc_STRVAR(
    restrict_to_doc,
    "restrict_to(name)\n\nUse a set of instructions other than the best, as tests do.");

static PyObject *restrict_to(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs == 1)
        for (int i = first_known(); i < SETS; i++) {
            PyObject *name = PyUnicode_FromString(sets[i].name);
            int same = name ? PyUnicode_Compare(name, args[0]) == 0 : 0;
            Py_XDECREF(name);
            if (PyErr_Occurred())
                return NULL;
            if (same) {
                chosen = i;
                Py_RETURN_NONE;
            }
        }
    return refuse("one of the names that instructions() gives was expected"), NULL;
}

static PyMethodDef methods[] = {
    {"assess", (PyCFunction)(void (*)(void))assess, METH_FASTCALL, assess_doc},
    {"solve", (PyCFunction)(void (*)(void))solve, METH_FASTCALL, solve_doc},
    {"polish", (PyCFunction)(void (*)(void))polish, METH_FASTCALL, polish_doc},
    {"distinct", (PyCFunction)(void (*)(void))distinct, METH_FASTCALL, distinct_doc},
    {"settle", (PyCFunction)(void (*)(void))settle, METH_FASTCALL, settle_doc},
    {"least_in_box", (PyCFunction)(void (*)(void))least_in_box, METH_FASTCALL, least_in_box_doc},
    {"screen", (PyCFunction)(void (*)(void))screen, METH_FASTCALL, screen_doc},
    {"products", (PyCFunction)(void (*)(void))products, METH_FASTCALL, products_doc},
    {"philox", (PyCFunction)(void (*)(void))philox, METH_FASTCALL, philox_doc},
    {"counts", (PyCFunction)(void (*)(void))counts, METH_FASTCALL, counts_doc},
    {"instructions", (PyCFunction)(void (*)(void))instructions_of, METH_FASTCALL, instructions_doc},
    {"restrict_to", (PyCFunction)(void (*)(void))restrict_to, METH_FASTCALL, restrict_to_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Rows of laws, their sums, and small systems, compiled.", 0,
    methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
