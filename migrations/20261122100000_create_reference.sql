-- People, and the short numbers that stand for configured codes in large tables.

create table operator (
    name text primary key check (name ~ '^[A-Za-z0-9._-]{1,40}$'),
    role text not null check (role in ('preparer', 'approver', 'accountant')),
    added_at timestamptz not null,
    active boolean not null default true
);
comment on table operator is 'Who may act, and in which role. The authorising side (preparer, approver) and the public accountant are distinct people.';

create table programme (
    id smallint primary key generated always as identity,
    code text not null unique
);

create table provider (
    id smallint primary key generated always as identity,
    code text not null unique
);
-- Provider 0 stands for "no provider found": the orders it bears are held.
insert into provider (id, code) overriding system value values (0, 'none');

create table purpose (
    id smallint primary key generated always as identity,
    code text not null unique
);

-- Programme 0 holds what belongs to no programme alone: the debtor accounts at banks, and suspense.
insert into programme (id, code) overriding system value values (0, 'treasury');
