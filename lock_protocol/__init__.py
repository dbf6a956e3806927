"""The Paylatch lock protocol: what the bridge and a phone agree on, and nothing either of them does alone.

Pure: no clock, no randomness, no I/O, no event loop. Time, nonces and keys are arguments.

Import from the modules, each of which holds one idea:

- `imei`, `topics`, `levels`, `messages`: the words;
- `schema`, `codec`, `keys`, `envelope`: the bytes;
- `trust`, `refusals`, `acceptance`: what counts.
"""
