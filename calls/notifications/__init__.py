"""What is told to others: webhooks to other systems, mail, and who looks after an alarm."""
