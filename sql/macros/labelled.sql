-- The rows of a relation as `judged` has them, with the cut as people read it (null: nothing is flagged) and the nearest
-- label of each role by its text, and the name of the image. The relation has bank_digest and the columns of `score`
-- beside what `judged` takes.
create or replace macro labelled(scored_relation) as table
select
    judged.*,
    nullif(judged.min_log_odds, '-infinity') as cut,
    main.shown_name(image_name.name, image_name.margin) as name,
    image_name.margin as name_margin,
    id_label.text as top_id,
    judged.id_cosine as top_id_cosine,
    negative_label.text as top_negative,
    judged.negative_cosine as top_negative_cosine
from main.judged(scored_relation) as judged
left join main.label as id_label
    on id_label.bank_digest = judged.bank_digest
    and id_label.label_index = judged.id_label
left join main.label as negative_label
    on negative_label.bank_digest = judged.bank_digest
    and negative_label.label_index = judged.negative_label
left join main.image_name
    on image_name.image_id = judged.image_id
    and image_name.encoder_id = judged.encoder_id;
