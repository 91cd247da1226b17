"""Problems that reward what has been covered, collected or measured."""
