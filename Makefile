VERBS := setup demo test lint docs lock reproduce doctor clean
.PHONY: $(VERBS)
$(VERBS):
	python3 dev.py $@
