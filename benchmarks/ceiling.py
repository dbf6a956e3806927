"""The ceiling by itself: whole round trips a second of this machine with nothing but what cannot be left out.

    python benchmarks/ceiling.py --phones 10000 --trips 30000      prints one line of JSON

`paylatch bench` measures it before and after what it compares with it; it lives there, in paylatch/bench/ceiling.py.
"""

from paylatch.bench.ceiling import main

if __name__ == "__main__":
    main()
