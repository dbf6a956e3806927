"""One phone as a pure step function: what happened goes in, what to do comes out.

- `identity`, `memory`: what the factory put in, what survives a power cycle;
- `events`, `effects`, `storage`: the ports, as values and one protocol;
- `step`: the state machine; `receiving`, `hello`, `words`, `deadlines`: what it does on the way;
- `phone`, `turn`: a phone between two events, and during one.
"""
