"""Reading looks at a workspace: search, explanations, bank reports, exports. They never wait for a run."""
