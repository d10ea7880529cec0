"""A million and ten million rows: time per row-evaluation and memory beside the columns."""

from benchmarks.clock import run
from benchmarks.plan import Plan
from benchmarks.table import Block, Line, Promise, number

OBJECTIVES = ("huber:1e-3", "t:4")


def rows(plan: Plan) -> Block:
    """The point fit of the Chinchilla law."""
    lines, notes = [], []
    for count in (1_000_000, 10_000_000):
        for objective in OBJECTIVES if plan.full or count == 1_000_000 else OBJECTIVES[:1]:
            took = run(plan.ours("large", count, objective))
            told = took.said
            words = f"{count:.0e}".replace("e+0", "e") + f" rows, {objective}"
            time = told["row_evaluation"] / told["floor"]
            memory = told["extra"] / told["columns"]
            why = "besides, every row adds to 36 sums of products, the value among them" + (
                ", and the scale of the likelihood is found from all residuals before its slopes"
                if objective.startswith("t")
                else ""
            )
            lines += [
                Line(
                    words,
                    whole=told["fit"],
                    each=told["row_evaluation"] * 1e-9,
                    memory=took.memory,
                    promise=Promise(
                        time,
                        4,
                        at_least=False,
                        of="a row-evaluation to the floor",
                        best=1,
                        why=why,
                    ),
                ),
                Line(
                    "  extra memory",
                    memory=told["extra"],
                    promise=Promise(memory, 3, at_least=False, of="extra memory to the columns"),
                ),
            ]
            notes.append(
                f"{words}: {told['status']}; the floor is {number(told['floor'])} ns, the columns "
                f"{number(told['columns'])} MB; a solve started beside it ends "
                f"{max(told['above'], 0):.0e} above"
            )
    title = "Chinchilla law on very many rows; whole: seconds of the fit, each: a row-evaluation"
    return Block(title, lines, notes)
