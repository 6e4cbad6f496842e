-- Budgets in the classes of tokens that providers bill apart.
ALTER TABLE budgets DROP CONSTRAINT budgets_unit_check, ADD CONSTRAINT budgets_unit_check CHECK (
        unit IN (
            'usd', 'tokens', 'input_tokens', 'uncached_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
            'reasoning_tokens', 'requests', 'turns', 'concurrent'));
