"""An analytic digital abdomen with closed-form answers."""
