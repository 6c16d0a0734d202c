-- Calibrations: the scores of reference ID images that p-values are measured against, and policies that rest on them.

-- A versioned reference: which images, scored how. The same images under the same scoring are one calibration.
create table calibration (
    calibration_id varchar not null,      -- digest of the scoring, the images and their scores
    encoder_id varchar not null,
    bank_digest varchar not null,
    method_id varchar not null,
    reference_digest varchar not null,    -- of the image ids, as methods name the set
    image_count integer not null,         -- n
    sources varchar not null,             -- JSON: list of addresses; empty: all reference images that were there
    created_at timestamp not null,
    run_id varchar not null
);

-- One reference image of a calibration, with what it scored.
create table calibration_score (
    calibration_id varchar not null,
    image_id varchar not null,
    log_odds double not null,
    id_label integer not null,            -- index of the nearest ID label in the bank: its class
    run_id varchar not null
);

-- A class with references enough for a cut of its own, under a policy by class. Under the rule fdr its cut is the one
-- above which no night's lies.
create table policy_class (
    policy_id varchar not null,
    id_label integer not null,
    image_count integer not null,         -- references of the class
    min_log_odds double not null,         -- -infinity: nothing is flagged
    min_id_score double not null,
    run_id varchar not null
);

-- The cut of one night under a policy of the rule fdr; one row for each class with a cut of its own, one for the rest.
create table policy_night (
    policy_id varchar not null,
    night_run_id varchar not null,        -- the scan that the images arrived in
    id_label integer not null,            -- -1: all classes without a cut of their own
    image_count integer not null,         -- images that were judged together: of the night, all classes
    min_log_odds double not null,         -- -infinity: nothing is flagged
    min_id_score double not null,
    run_id varchar not null
);

-- A policy is of one rule. A cut of a class or a night goes before the policy's own; -infinity there flags nothing.
alter table policy add column rule varchar;             -- default, keep, alpha, fdr
alter table policy add column level double;             -- of the rule; null for a default
alter table policy add column by_class boolean;
alter table policy add column calibration_id varchar;   -- null: made before there were calibrations

update policy
set rule = case when provenance ->> 'kind' = 'default' then 'default' else 'keep' end,
    level = cast(provenance ->> 'keep' as double),
    by_class = false;
