"""What random bad calls of the public API lead to: `python tests/measure_bad_calls.py [calls] [seed]`.

Anything but a result or an error of convop is told: other exceptions, warnings, calls of more than 20 s. Memory that is
not given back is told as well.
"""

import gc
import resource
import sys
import time

import bad_calls


def main(number=5000, seed=1):
    bad_calls.fuzz(len(bad_calls.doors()), seed)  # whatever is compiled, imported or kept once
    gc.collect()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.time()
    taken, wrong = bad_calls.fuzz(number, seed)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    seconds, refused = time.time() - start, number - taken - len(wrong)
    print(
        f"{number} bad calls of {len(bad_calls.doors())} functions in {seconds:.0f} s: {taken} gave a result, "
        f"{refused} an error of convop, {len(wrong)} something else; {grown:.0f} MB more at the peak"
    )
    print("\n".join(wrong))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
