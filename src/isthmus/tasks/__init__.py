"""What a trained model is used for: scikit-learn estimators, thin."""
