"""The contract: observations in, verdicts out. Pure functions; nothing here knows a machine.

A clause is one function from a case to a verdict. What it returns or raises, and what becomes of the trial:

    returns Verdict.of([])         pass                   converged, if no other clause fails
    returns Verdict.of(findings)   fail                   diverged
    raises BrokenStateError        fail                   diverged: the state is too broken to judge further
    raises NotSeenError            fail, with `unseen`    error, unless another clause fails: the harness owes a part
    raises NotApplicableError      n/a                    nothing, as long as some other clause passes

docs/contract.md states the clauses for people.
"""

VERSION = 2  # of the contract; docs/contract.md says what each version changed
