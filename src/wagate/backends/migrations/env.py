"""How Alembic runs our versions: it prints their statements into the sink that migrate.py hands over."""

from alembic import context

asked = context.config.attributes
context.configure(
    dialect_name=asked["dialect"],
    output_buffer=asked["sink"],
    literal_binds=True,
    transactional_ddl=False,  # migrate.py opens the one transaction
)
with context.begin_transaction():
    context.run_migrations()
