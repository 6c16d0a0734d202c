-- What people read for the name of an image: no word where its margin says nothing. Of every second photograph of the sets
-- (1,238), 73 % of the names from 0.3 upwards are right, of the 8 % below 21 % (`python -m tests.bench.names`).
create or replace macro shown_name(of_name, of_margin) as case
    when of_name is null then 'not named yet'
    when of_margin < 0.3 then 'unclear'
    else of_name
end;
