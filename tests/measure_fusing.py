"""How many random pairs fuse as they should. Run it: python tests/measure_fusing.py --number 500"""

import argparse

import coincidences
import fusing_pairs
import numpy as np

import convop
from convop.fuse import composed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=500, help="pairs for each rule, inside and outside (500)")
    parser.add_argument(
        "--coincidences", action="store_true", help="pairs that are one for the values in their kernels"
    )
    arguments = parser.parse_args()
    number = arguments.number
    if arguments.coincidences:
        for what, count in sorted(coincidences.counts(number, seed=7).items()):
            print(f"{what:<18}{count:>8}")
        return
    print(
        f"{'rule':<14}{'inside':>8}{'one':>8}{'exact':>8}   {'outside':>8}{'apart':>8}{'exact':>8}{'one is wrong':>14}"
    )
    for rule in fusing_pairs.RULES:
        counts = []
        for inside in (True, False):
            one = exact = wrong = 0
            for outer, inner, dense in fusing_pairs.pairs(rule, inside, number, seed=7):
                product = outer @ inner
                one += isinstance(product, convop.Convolution)
                exact += np.array_equal(product.toarray(), dense)
                wrong += not inside and not np.array_equal(composed(outer, inner).toarray(), dense)
            counts.append((one, exact, wrong))
        (one, exact, _), (still, same, wrong) = counts
        print(f"{rule:<14}{number:>8}{one:>8}{exact:>8}   {number:>8}{number - still:>8}{same:>8}{wrong:>14}")


if __name__ == "__main__":
    main()
