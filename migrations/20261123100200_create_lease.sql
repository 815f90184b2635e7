-- Work that only one process may do at a time, over all machines.
create table lease (
    name text primary key check (length(name) between 1 and 64),
    holder text not null,
    fence bigint not null,
    held_until timestamptz not null
);
comment on table lease is 'A row stays when its lease was given back, so that the fence never falls.';
comment on column lease.fence is 'Rises with each lease: whoever lost it can be told from whoever has it.';
comment on column lease.held_until is 'By the clock of the database, the only one that all processes share.';
