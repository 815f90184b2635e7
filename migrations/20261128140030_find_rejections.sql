-- Why a household has no order is asked by its id.
create index snapshot_rejection_household on snapshot_rejection (household_id) where household_id is not null;
