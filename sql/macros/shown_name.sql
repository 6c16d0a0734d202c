-- What people read for the name of an image: no word where its margin says nothing.
create or replace macro shown_name(of_name, of_margin) as case
    when of_name is null then 'not named yet'
    when of_margin < 0.2 then 'unclear'
    else of_name
end;
