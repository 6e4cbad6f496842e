"""A scripted provider and a little realistic traffic, for people without a provider key."""
