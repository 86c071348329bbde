"""Making a model: synthetic images, fitting, evaluating."""
