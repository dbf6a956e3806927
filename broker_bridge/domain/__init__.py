"""What a decision means: pure rules, no effects."""
