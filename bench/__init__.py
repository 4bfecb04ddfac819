"""How fast the gateway is: workloads against a real `wagate serve`, each beside a reference measured in the same run.

`python -m bench` runs them and prints tables; docs/benchmarks.md says how to read them. Never imported by the product.
"""
