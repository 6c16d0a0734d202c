-- What reports compare nights by: pinned baselines; and how long the stages of each run took.

-- A night that others are compared with; of an encoder the newest row rules.
create table baseline (
    baseline_number integer not null,
    night_run_id varchar not null,        -- the scan whose images it is made of
    encoder_id varchar not null,
    pinned_at timestamp not null,
    run_id varchar not null
);

-- The images of a baseline: all that arrived in its night, or a sample. They stay when the images leave the lake.
create table baseline_image (
    baseline_number integer not null,
    image_id varchar not null,
    run_id varchar not null
);

-- Wall time of the stages of a scan.
create table run_stage (
    run_id varchar not null,
    stage varchar not null,               -- list, read, score, near_duplicates
    seconds double not null
);
