"""What a person sees of the command line: progress bars, tables, the last word. Nothing else prints."""
