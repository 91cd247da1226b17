VERBS := setup demo test notebook lint docs lock reproduce doctor clean
.PHONY: $(VERBS)
$(VERBS):
	python3 dev.py $@
