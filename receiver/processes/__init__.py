"""web, admin, worker, agent and the supervisor that runs them together."""
