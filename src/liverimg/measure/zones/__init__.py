"""What an ablation left: zones without enhancement and residual foci, drawn by rule on CT and MR."""
