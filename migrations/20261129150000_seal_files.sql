-- What travels of a file that is sealed on its way, and messages that are not signed or sealed as agreed.
alter table file_delivery
    add column travels_as text,
    add column travels_sha256 bytea check (octet_length(travels_sha256) = 32),
    add column travels_bytes bigint,
    add check (num_nulls(travels_as, travels_sha256, travels_bytes) in (0, 3));
alter table file_fetch add column refused text;
comment on column file_fetch.refused is 'Why nothing of it was imported: it is not signed or sealed as agreed.';
