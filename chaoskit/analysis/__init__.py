"""What was measured, decided and frozen."""
