"""Commands that go over a data set, and how they do."""
