"""The bridge: from a lender's decision to a phone's signed word that it was applied."""
