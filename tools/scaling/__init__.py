"""Makes docs/scaling.md: measured costs, what follows from them by arithmetic, and a simulation of bursts."""
