-- The ledger: what was seen where, what became of it, and how it scored. All times are UTC.
-- No unique indexes: they slow bulk inserts threefold; sql/checks asserts uniqueness instead.

create schema report;

-- One execution of a command that writes.
create table run (
    run_id varchar not null,
    command varchar not null,
    status varchar not null,              -- running, done, failed, interrupted
    started_at timestamp not null,
    finished_at timestamp,
    version varchar not null,             -- of curator
    host varchar not null,
    process_id integer not null,
    arguments varchar not null,           -- JSON
    error varchar
);

-- What the listing of a run said, before anything was read.
create table listing (
    run_id varchar not null,
    role varchar not null,                -- lake, reference
    source varchar not null,
    objects_listed bigint not null,
    objects_new bigint not null,
    objects_changed bigint not null,
    objects_unchanged bigint not null,
    objects_gone bigint not null,
    bytes_listed bigint not null,
    bytes_to_read bigint not null,
    ignored varchar not null              -- JSON: suffix -> number of files that are no images
);

-- An encoder that made vectors: address and fingerprint of weights and preprocessing.
create table encoder (
    encoder_id varchar not null,
    address varchar not null,
    dimension integer not null,
    logit_scale double not null,
    preprocess varchar not null,          -- JSON
    run_id varchar not null
);

-- A storage object (file, tar, Parquet file) that was read to its end, in the state that was read.
create table source_object (
    object_uri varchar not null,
    role varchar not null,
    kind varchar not null,                -- file, tar, parquet
    byte_size bigint not null,
    version varchar not null,             -- size with mtime or ETag
    encoder_id varchar not null,          -- the encoder it was last read for
    data_count bigint not null,           -- data found in it: images, duplicates and rejects
    run_id varchar not null,              -- the run that read it last
    gone_run_id varchar                   -- the run whose listing missed it; null while it is there
);

-- Where one datum was seen.
create table location (
    uri varchar not null,
    role varchar not null,
    object_uri varchar not null,
    object_version varchar not null,
    member varchar,                       -- tar member, Parquet row
    byte_offset bigint,                   -- of a tar member's bytes
    byte_size bigint,
    source_label varchar,                 -- a label that came with the datum
    image_id varchar,                     -- null when the bytes could not be read
    shard_id varchar not null,
    run_id varchar not null
);

-- The content itself. image_id = first 32 hex digits of the SHA-256 of its bytes.
create table image (
    image_id varchar not null,
    byte_size bigint not null,
    width integer not null,               -- as shown: EXIF orientation applied
    height integer not null,
    format varchar not null,
    mode varchar not null,
    animated boolean not null,
    run_id varchar not null
);

-- A datum that could not be processed.
create table reject (
    uri varchar not null,
    role varchar not null,
    object_uri varchar not null,
    object_version varchar,               -- null for a reject of the listing
    member varchar,
    stage varchar not null,               -- list, read, decode, encode
    reason varchar not null,
    detail varchar not null,
    image_id varchar,
    run_id varchar not null
);

-- Where a vector lies: row `row_index` of `vector_file` under the encoder's folder.
create table vector (
    image_id varchar not null,
    encoder_id varchar not null,
    vector_file varchar not null,
    row_index integer not null,
    run_id varchar not null
);

-- A finished unit of work; committed together with its rows.
create table shard (
    shard_id varchar not null,
    encoder_id varchar not null,
    role varchar not null,
    kind varchar not null,
    run_id varchar not null,
    finished_at timestamp not null,
    data_count bigint not null,           -- image_count + duplicate_count + reject_count
    image_count bigint not null,          -- contents that got their vector here
    duplicate_count bigint not null,      -- contents that had one already
    reject_count bigint not null,
    decoded_count bigint not null,
    byte_count bigint not null,
    decode_seconds double not null,       -- of processor time, summed over workers
    encode_seconds double not null
);

-- A vector file whose images have been compared with the rest of the lake.
create table compared_file (
    vector_file varchar not null,
    encoder_id varchar not null,
    run_id varchar not null
);

-- A pair of images whose vectors nearly coincide.
create table near_duplicate (
    image_id varchar not null,
    neighbour_id varchar not null,
    encoder_id varchar not null,
    cosine float not null,
    run_id varchar not null
);

-- An immutable bank version.
create table bank (
    bank_digest varchar not null,
    name varchar not null,
    version integer not null,             -- 1, 2, 3 … within the name
    encoder_id varchar not null,
    id_count integer not null,
    negative_count integer not null,
    spec varchar not null,                -- JSON
    lineage varchar not null,             -- JSON
    created_at timestamp not null,
    run_id varchar not null
);

create table label (
    bank_digest varchar not null,
    label_index integer not null,
    text varchar not null,
    role varchar not null,                -- id, negative
    source varchar not null,
    part_of_speech varchar,
    statistic double,                     -- what mining sorted by
    nearest_id varchar,
    nearest_id_cosine double
);

-- One score of one image. Higher is more ID. log_odds is the logit of id_score, exact where id_score saturates.
create table score (
    image_id varchar not null,
    encoder_id varchar not null,
    bank_digest varchar not null,
    method_id varchar not null,           -- name and parameters
    id_score double not null,
    log_odds double not null,
    id_label integer not null,            -- index of the nearest ID label in the bank
    id_cosine float not null,
    negative_label integer not null,      -- index of the nearest negative label; -1 without negatives
    negative_cosine float not null,
    run_id varchar not null
);

-- A rule on scores: an image is flagged when its log_odds is below min_log_odds.
create table policy (
    policy_id varchar not null,
    name varchar not null,
    encoder_id varchar not null,
    bank_digest varchar not null,
    method_id varchar not null,
    min_log_odds double not null,
    min_id_score double not null,         -- the same cut on the id_score scale, for reading
    provenance varchar not null,          -- JSON: how the cut was found
    created_at timestamp not null,
    run_id varchar not null
);

-- Which bank, method and policy the report views show: the newest row rules.
create table selection (
    selection_number integer not null,
    encoder_id varchar not null,
    bank_digest varchar not null,
    method_id varchar not null,
    policy_id varchar,                    -- null: nothing is flagged, because the method has no natural cut
    run_id varchar not null
);
