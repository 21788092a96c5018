"""The ledger is append-only and balanced, whatever program writes to it.

- Entries and transactions are never changed, removed or truncated: a correction is a new transaction.
- At commit, every ledger transaction has at least two entries, all written by the database transaction that wrote it
  (nothing is slipped in later), and they sum to zero in each currency.

The functions name no schema: they run with the search path of who writes, where the tables are.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payments_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION payments_ledger_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked uuid;
    writer bigint;
    entries bigint;
    unbalanced text;
BEGIN
    IF TG_TABLE_NAME = 'payments_ledgerentry' THEN
        checked := NEW.transaction_id;
    ELSE
        checked := NEW.id;
    END IF;
    SELECT written_by INTO writer FROM payments_ledgertransaction WHERE id = checked;
    IF writer IS DISTINCT FROM txid_current() THEN
        RAISE EXCEPTION 'ledger transaction % was written by another database transaction', checked
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT count(*) INTO entries FROM payments_ledgerentry WHERE transaction_id = checked;
    IF entries < 2 THEN
        RAISE EXCEPTION 'ledger transaction % has % entries, fewer than two', checked, entries
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT string_agg(currency || ' ' || total, ', ') INTO unbalanced FROM (
        SELECT currency, sum(entry_amount) AS total FROM payments_ledgerentry
        WHERE transaction_id = checked GROUP BY currency HAVING sum(entry_amount) <> 0
    ) AS sums;
    IF unbalanced IS NOT NULL THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero: %', checked, unbalanced
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE ON payments_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_is_append_only();
CREATE TRIGGER ledger_entry_no_truncate BEFORE TRUNCATE ON payments_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_is_append_only();
CREATE TRIGGER ledger_transaction_append_only BEFORE UPDATE OR DELETE ON payments_ledgertransaction
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_is_append_only();
CREATE TRIGGER ledger_transaction_no_truncate BEFORE TRUNCATE ON payments_ledgertransaction
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_is_append_only();

CREATE CONSTRAINT TRIGGER ledger_entry_balanced AFTER INSERT ON payments_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_ledger_is_balanced();
CREATE CONSTRAINT TRIGGER ledger_transaction_balanced AFTER INSERT ON payments_ledgertransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_ledger_is_balanced();
"""

BACKWARD = """
DROP TRIGGER ledger_transaction_balanced ON payments_ledgertransaction;
DROP TRIGGER ledger_entry_balanced ON payments_ledgerentry;
DROP TRIGGER ledger_transaction_no_truncate ON payments_ledgertransaction;
DROP TRIGGER ledger_transaction_append_only ON payments_ledgertransaction;
DROP TRIGGER ledger_entry_no_truncate ON payments_ledgerentry;
DROP TRIGGER ledger_entry_append_only ON payments_ledgerentry;
DROP FUNCTION payments_ledger_is_balanced();
DROP FUNCTION payments_ledger_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
