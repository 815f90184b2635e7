-- Decisions of people are signed. The signature is part of the audit record, and of its hash; who holds which key is said by signed
-- records, and kept here.
alter table audit
    add column key_fingerprint text,
    add column signature text,
    add column signed_after bytea,
    add constraint audit_signed check (num_nulls(key_fingerprint, signature, signed_after) in (0, 3));
comment on column audit.signed_after is 'Hash of the last record when the statement was signed.';

create table operator_key (
    fingerprint text primary key,
    operator text not null references operator (name),
    public_key text not null,
    enrolled_by text not null,
    enrolled_at timestamptz not null,
    revoked_by text,
    revoked_at timestamptz,
    check ((revoked_by is null) = (revoked_at is null))
);
create index operator_key_of on operator_key (operator);
comment on table operator_key is 'Public keys by which people sign; a key is of one person for all time.';

-- Administrators are named outside of the database.
alter table operator drop constraint operator_removed_by_fkey;
