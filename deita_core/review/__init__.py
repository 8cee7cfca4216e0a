"""Review by people: decisions, queues, how far reviewers agree, and how well scorers match them."""
