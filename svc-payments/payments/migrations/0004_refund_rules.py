"""Refunds stay within what was captured, whatever program writes.

- At commit, what a payment says of its refunds (`refunding_amount`, `refunded_amount`, which a check keeps within the
  payment) is what its refund rows add up to.
- At commit, no ledger transaction has given a buyer more than was captured from him: the balance of `customers` for one
  payment never rises above zero.

Both lock the payment's row first, so that two writers who do not know of each other are judged one after the other.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payments_refunds_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked uuid;
    said record;
    pending bigint;
    succeeded bigint;
BEGIN
    IF TG_TABLE_NAME = 'payments_payment' THEN
        checked := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        checked := OLD.payment_id;
    ELSE
        checked := NEW.payment_id;
    END IF;
    SELECT refunding_amount, refunded_amount INTO said FROM payments_payment WHERE id = checked FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(sum(refund_amount) FILTER (WHERE status = 'pending'), 0),
           coalesce(sum(refund_amount) FILTER (WHERE status = 'succeeded'), 0)
        INTO pending, succeeded FROM payments_refund WHERE payment_id = checked;
    IF (pending, succeeded) IS DISTINCT FROM (said.refunding_amount, said.refunded_amount) THEN
        RAISE EXCEPTION 'refunds of payment % add up to % pending and % succeeded, the payment says % and %',
            checked, pending, succeeded, said.refunding_amount, said.refunded_amount
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION payments_ledger_refunds_within_capture() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid_by uuid;
    over bigint;
BEGIN
    SELECT payment_id INTO paid_by FROM payments_ledgertransaction WHERE id = NEW.transaction_id;
    PERFORM 1 FROM payments_payment WHERE id = paid_by FOR NO KEY UPDATE;
    SELECT sum(entry.entry_amount) INTO over
        FROM payments_ledgerentry entry JOIN payments_ledgertransaction movement ON movement.id = entry.transaction_id
        WHERE movement.payment_id = paid_by AND entry.account_id = 'customers' AND entry.currency = NEW.currency;
    IF over > 0 THEN
        RAISE EXCEPTION 'payment % would be refunded % more than was captured', paid_by, over
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER refund_adds_up AFTER INSERT OR UPDATE OR DELETE ON payments_refund
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_refunds_add_up();
CREATE CONSTRAINT TRIGGER payment_refunds_add_up
    AFTER UPDATE OF refunding_amount, refunded_amount ON payments_payment
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_refunds_add_up();
CREATE CONSTRAINT TRIGGER ledger_refunds_within_capture AFTER INSERT ON payments_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.account_id = 'customers' AND NEW.entry_amount > 0)
    EXECUTE FUNCTION payments_ledger_refunds_within_capture();
"""

BACKWARD = """
DROP TRIGGER ledger_refunds_within_capture ON payments_ledgerentry;
DROP TRIGGER payment_refunds_add_up ON payments_payment;
DROP TRIGGER refund_adds_up ON payments_refund;
DROP FUNCTION payments_ledger_refunds_within_capture();
DROP FUNCTION payments_refunds_add_up();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_disputes_and_reconciliation")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
