-- The rows of a vector file are numbered 0, 1, 2 … without gaps.
select encoder_id, vector_file, count(*) as vectors, max(row_index) as last_row
from vector
group by encoder_id, vector_file
having max(row_index) <> count(*) - 1 or min(row_index) <> 0;
