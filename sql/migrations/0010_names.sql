-- What people call an image: the nearest word of a vocabulary. Images of earlier releases get theirs from their vectors.
create table image_name (
    image_id varchar not null,
    encoder_id varchar not null,
    vocabulary varchar not null,          -- digest of the words and of how they are asked for
    name varchar not null,                -- the nearest word, however near
    margin double not null,               -- its share among all words, 0–1
    run_id varchar not null
);
