-- Each region, province and provider is held against all the others.
alter table run_comparison drop constraint run_comparison_dimension_check,
    add constraint run_comparison_dimension_check check (dimension in ('all', 'region', 'province', 'provider'));
alter table run_check
    add column part bigint,
    add column whole bigint,
    add column elsewhere text,
    add column score numeric;
comment on column run_check.part is 'Households that show it, or centimes for a change of the total; of `whole`.';
comment on column run_check.elsewhere is 'What was found in all other regions, provinces or providers together.';
comment on column run_check.score is 'How many times the allowed it is: the most unusual first.';
